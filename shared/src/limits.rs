//! Every bound has a name, and they all live here. Whatever a peer, a client or a file sends is held to these.

use crate::time::Duration;

/// Length of a room's name in a link.
pub const ROOM_NAME_BYTES_MAX: usize = 64;

/// Length of a member's friendly name.
pub const MEMBER_NAME_BYTES_MAX: usize = 64;

/// Length of a document's name.
pub const DOCUMENT_NAME_BYTES_MAX: usize = 1024;

/// A member's `--http` address as it is told to others.
pub const ADDRESS_BYTES_MAX: usize = 256;

/// Connected nodes in one room.
pub const ROOM_MEMBERS_MAX: usize = 256;

/// What a relay holds back for links that are slow on purpose.
pub const LATE_KIBIBYTES_MAX: usize = 64 << 10;

/// Rooms on one relay.
pub const ROOMS_MAX: usize = 1024;

/// The size at which a text is cut. A cut that would part a word moves on to the next safe place.
pub const CHUNK_BYTES: usize = 1 << 20;

/// The latest place of a cut: without a safe one before it, the chunk ends here and its partial carries open edges.
pub const CHUNK_BYTES_MAX: usize = 2 << 20;

/// Chunks of one document: 16 GiB of text; its manifest fits in one command.
pub const DOCUMENT_CHUNKS_MAX: usize = 1 << 14;

/// A word without a place to cut it in. A longer one ends the job with an error that names this limit.
pub const OPEN_EDGE_BYTES_MAX: usize = 64 << 20;

/// A word of a table. Nothing grows more than threefold when it is read as UTF-8 and lower-cased.
pub const WORD_BYTES_MAX: usize = 3 * OPEN_EDGE_BYTES_MAX;

/// One block of bytes in a member's store, be it a chunk, a partial or a piece of a table.
pub const BLOCK_BYTES_MAX: usize = 4 << 20;

/// A message between peers without the bulk attached to it: room for the largest command and its neighbours.
pub const FRAME_HEAD_BYTES_MAX: usize = 4 << 20;

/// What is attached to a message between peers.
pub const FRAME_BULK_BYTES_MAX: usize = BLOCK_BYTES_MAX;

/// One message on a relay's socket: head, bulk and the envelope around them.
pub const SOCKET_MESSAGE_BYTES_MAX: usize = FRAME_HEAD_BYTES_MAX + FRAME_BULK_BYTES_MAX + 1024;

/// Bytes of control frames that wait for one connection. A reader that falls further behind is cut off.
pub const CONTROL_QUEUE_BYTES_MAX: usize = 16 << 20;

/// Bytes of bulk frames that wait for one connection. More are dropped; senders notice and try again.
pub const BULK_QUEUE_BYTES_MAX: usize = 32 << 20;

/// Chunks of one upload that are on their way to their holders.
pub const UPLOAD_WINDOW_CHUNKS: usize = 8;

/// Uploads that one node takes in at a time.
pub const UPLOADS_MAX: usize = 64;

/// An upload that nobody feeds for so long is dropped.
pub const UPLOAD_IDLE_MAX: Duration = Duration::from_secs(120);

/// How often whoever takes in an upload tells that its text still comes, where a chunk of it takes longer.
pub const UPLOAD_KEEP_INTERVAL: Duration = Duration::from_secs(30);

/// Copies of every block, or as many as there are members; more if it takes more for every majority of the voters to have
/// one.
pub const COPIES: usize = 3;

/// Input of one counting task.
pub const TASK_BYTES: u64 = 8 << 20;

/// Documents in the replicated state.
pub const DOCUMENTS_MAX: usize = 100_000;

/// Jobs that run at a time.
pub const JOBS_RUNNING_MAX: usize = 256;

/// The replicated state in a snapshot, before another document or job is refused. What the running jobs come to, some 300 kB
/// each, still fits into [`RAFT_SNAPSHOT_BYTES_MAX`] after that.
pub const STATE_BYTES_MAX: u64 = 128 << 20;

/// How long a document that was removed is remembered: much longer than any member repeats a command.
pub const REMOVED_DOCUMENT_AGE_MAX: Duration = Duration::from_secs(10 * 60);

/// Finished jobs that the replicated state remembers; the oldest give way.
pub const JOBS_MAX: usize = 1_000;

/// Documents of one job.
pub const JOB_DOCUMENTS_MAX: usize = 10_000;

/// Words of a result's `top` that travel with its summary. Longer lists are read from the table.
pub const SUMMARY_TOP_MAX: usize = 1_000;

/// Bytes of a word in a summary; a longer one is shown cut, and stands whole in the table.
pub const SUMMARY_WORD_BYTES_MAX: usize = 256;

/// A key of a key-value pair.
pub const KEY_BYTES_MAX: usize = 512;

/// A value: with its key and what stands around them it fits into one command.
pub const VALUE_BYTES_MAX: usize = COMMAND_BYTES_MAX - 4096;

/// Keys in the replicated state.
pub const KEYS_MAX: usize = 1_000_000;

/// Keys that one command takes out because their time is over.
pub const EXPIRED_KEYS_MAX: usize = 5_000;

/// Keys of one page of a list, when nobody asks for another number.
pub const KEYS_PAGE_DEFAULT: u32 = 100;

/// Keys of one page of a list, and changes of one answer to a watch.
pub const KEYS_PAGE_MAX: usize = 1_000;

/// Values of one page. A single larger one still comes, alone.
pub const KEYS_PAGE_BYTES_MAX: usize = 4 << 20;

/// Changes of keys that a node remembers for whoever watches.
pub const KEY_EVENTS_KEPT_MAX: usize = 16_384;

/// Values of these changes.
pub const KEY_EVENTS_BYTES_MAX: usize = 16 << 20;

/// A watcher over HTTP that takes nothing for so long is cut off: until then a page of changes waits for it.
pub const WATCH_STALL_MAX: Duration = Duration::from_secs(30);

/// Sessions of one member; the one that was used least lately gives way. Every run of a node has one, and another each time it is cut
/// off or idle for long.
pub const SESSIONS_OF_A_MEMBER_MAX: usize = 4;

/// Sessions of all members, also of those that have left lately; the one that was used least lately gives way.
pub const SESSIONS_MAX: usize = SESSIONS_OF_A_MEMBER_MAX * ROOM_MEMBERS_MAX;

/// Outcomes that a session keeps until its client has them: the most that its calls may be apart.
pub const SESSION_ANSWERS_MAX: usize = 2 * REQUESTS_WAITING_MAX;

/// Outcomes that all sessions keep together; the sessions used least lately give way.
pub const ANSWERS_MAX: usize = 8 * SESSION_ANSWERS_MAX;

/// A session that nobody uses for so long goes: much longer than any member repeats a command.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(10 * 60);

/// A command in the log.
pub const COMMAND_BYTES_MAX: usize = 1 << 20;

/// Requests of clients that wait for an answer on one node.
pub const REQUESTS_WAITING_MAX: usize = 16_384;

/// Values of the changes of keys among them, before a further one is refused.
pub const REQUESTS_BYTES_MAX: usize = 64 << 20;

/// Values of changes of keys that are on their way to the leader, before a further change waits here: well below
/// [`CONTROL_QUEUE_BYTES_MAX`], since each of them may be sent again.
pub const FORWARDED_BYTES_MAX: usize = CONTROL_QUEUE_BYTES_MAX / 4;

/// Commands and answers that go together to the leader, or back, in one message.
pub const FORWARD_BATCH_MAX: usize = 4096;

/// Their bytes. A larger command goes alone.
pub const FORWARD_BATCH_BYTES: usize = 256 << 10;

/// A document that came with `wordraft count` is kept for so long.
pub const TRANSIENT_DOCUMENT_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Voters of a cluster.
pub const VOTERS_MAX: usize = 7;

/// Entries of one append message of Raft; one larger command travels alone.
pub const RAFT_APPEND_BYTES: usize = 256 << 10;

/// Entries from before a snapshot that stay in the log for slow followers.
pub const RAFT_KEPT_TAIL_BYTES: u64 = 8 << 20;

/// Any setting of Raft that counts bytes, messages or reads.
pub const RAFT_SETTING_MAX: usize = 1 << 30;

/// The longest election timeout that a member can be set to.
pub const RAFT_ELECTION_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Batches that a member gives to its disk without an acknowledgement.
pub const RAFT_WRITES_IN_FLIGHT_MAX: usize = 1_024;

/// Entries that a Raft leader accepts beyond what is committed.
pub const RAFT_UNCOMMITTED_BYTES_MAX: usize = 16 << 20;

/// One piece of a snapshot of the replicated state.
pub const RAFT_SNAPSHOT_CHUNK_BYTES: usize = 256 << 10;

/// A snapshot of the replicated state.
pub const RAFT_SNAPSHOT_BYTES_MAX: usize = 256 << 20;

/// How far beyond its own term a member follows a peer. Nobody misses so many elections, and one lie must not use up
/// the terms of the whole cluster.
pub const RAFT_TERM_JUMP_MAX: u64 = 1 << 32;

/// Different words that a made-up sample draws from.
pub const SAMPLE_WORDS_MAX: u32 = 5_000_000;

/// Words of a report's `top`. The whole table is there as CSV.
pub const REPORT_TOP_MAX: u32 = 100_000;

/// Words of one page of a table, when nobody asks for another number.
pub const WORDS_PAGE_DEFAULT: u64 = 100;

/// Words of one page of a table.
pub const WORDS_PAGE_MAX: u64 = 10_000;

/// Words that a node sorts at a time while it writes a table as CSV. It reads a longer table several times.
pub const CSV_BATCH_WORDS: usize = 500_000;

/// The `Idempotency-Key` of a request.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// HTTP connections that one process answers at a time; further ones wait.
pub const CONNECTIONS_MAX: u32 = 4096;

/// What a client gets to send the head of a request, and to keep a connection open between two.
pub const HEADER_TIME_MAX: Duration = Duration::from_secs(10);

/// Sockets of peers that have not said a valid `Hello` yet: anybody may open them, and send whole messages.
pub const HANDSHAKES_MAX: usize = 64;

/// A `Hello` with the longest name and address in it has less than a kilobyte.
pub const HELLO_BYTES_MAX: usize = 4096;

/// From the opening of a connection to a valid `Hello`.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);

/// How often a relay pings a connection, and a node that has nothing to say repeats its profile.
pub const SIGN_OF_LIFE_INTERVAL: Duration = Duration::from_secs(1);

/// A connection that is silent for so long, pongs included, is dead: both ends cut it.
pub const SILENCE_MAX: Duration = Duration::from_secs(4);

/// A node whose browser answers pings while the node itself says nothing for so long is frozen, and shown as hidden.
pub const FROZEN_AFTER: Duration = Duration::from_secs(3);

/// What a connection that is being cut gets to read why.
pub const FAREWELL_TIME_MAX: Duration = Duration::from_secs(1);

/// Room that blocks leave on a disk. The log needs some as well, and a node whose log cannot be written has to stop.
pub const DISK_SPARE_BYTES: u64 = 64 << 20;

/// A text that was refused is read on for so long, so that its sender gets to read why.
pub const LINGER_TIME_MAX: Duration = Duration::from_secs(5);

/// The first pause before a node tries its relay again. It doubles with every failure.
pub const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause before a node tries its relay again.
pub const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Events of a node that wait for one watcher. A slower one misses the oldest.
pub const EVENTS_WAITING_MAX: usize = 1024;

/// One block of a stored table.
pub const TABLE_BLOCK_BYTES: usize = 1 << 20;

/// The partial of one counting task: more than `TASK_BYTES` only where lower case takes more room, or where a text has
/// no place to cut it in.
pub const PARTIAL_BYTES_MAX: usize = 64 << 20;

/// Partials that are merged at a time. Fewer at a time cost time, more cost memory.
pub const MERGE_BATCH_BYTES: usize = 32 << 20;

/// Counting tasks of one job: their list fits in one message to the member that puts their partials together.
pub const JOB_TASKS_MAX: usize = 1 << 16;

/// What one message asks of a block: less costs round trips, more costs memory along the way.
pub const FETCH_BYTES: usize = 1 << 20;

/// Blocks that one node fetches at a time.
pub const FETCHES_MAX: usize = 6;

/// A source that has not answered for so long is left for the next one.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(8);

/// Times that one fetch asks the same source.
pub const FETCH_TRIES: u32 = 3;

/// Blocks that others may have asked one node to copy and that it has not fetched yet.
pub const COPIES_WAITING_MAX: usize = 256;

/// Askers of one block that a node fetches; more peers are refused for the moment.
pub const FETCH_USERS_MAX: usize = 256;

/// Bytes that peers put to, or get from, one node's store at a time; more is refused for the moment.
pub const SERVED_BYTES_MAX: u64 = 64 << 20;

/// Operations of one node's store at a time; peers' are refused for the moment beyond it.
pub const STORE_OPERATIONS_MAX: usize = 1024;

/// A block that no manifest refers to is kept for so long after it was put: its upload may still be under way.
pub const UNREFERENCED_BLOCK_AGE_MAX: Duration = Duration::from_secs(6 * 60 * 60);

/// An upload that takes longer is given up, before anybody collects its first chunks.
pub const UPLOAD_AGE_MAX: Duration = Duration::from_secs(5 * 60 * 60);

/// Partials that one node keeps for later counts of the same texts; those not used for longest go first.
pub const PARTIALS_BYTES_MAX: u64 = 512 << 20;

/// A partial that nobody used for so long goes.
pub const PARTIAL_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Bytes of chunks that wait on one node for their holders, of all uploads together.
pub const UPLOADS_BYTES_MAX: usize = 96 << 20;

/// A chunk that finds no holders for so long is given up; its client may send it again.
pub const UPLOAD_CHUNK_WAIT_MAX: Duration = Duration::from_secs(30);

/// Tasks that wait or run on one worker; more are handed back.
pub const WORKER_TASKS_MAX: usize = 256;

/// Inputs of one task: the partials of the largest job, or all chunks of a document.
pub const TASK_INPUTS_MAX: usize = JOB_TASKS_MAX;

/// Tasks that one worker takes from members it does not know as leaders yet: as much as a leader gives one member.
pub const EARLY_TASKS_MAX: usize = WORKER_THREADS_MAX as usize + 1;

/// Times that a worker fetches the inputs of a task again after one of them turned out to be missing or damaged.
pub const TASK_REFETCHES_MAX: u32 = 2;

/// Blocks of a result on their way from the member that made it to the others.
pub const TABLE_COPIES_IN_FLIGHT_MAX: usize = 8;

/// A member that was asked for a copy of a block and has not answered for so long is left out.
pub const COPY_TIMEOUT: Duration = Duration::from_secs(15);

/// Copies of blocks that a leader has under way to make up for members that are gone.
pub const REPAIRS_IN_FLIGHT_MAX: usize = 8;

/// Under-replicated blocks that a leader keeps in mind; it looks again when they are done.
pub const REPAIRS_QUEUED_MAX: usize = 4096;

/// Failures of one task after which its job ends with the last reason.
pub const TASK_FAILURES_MAX: u32 = 50;

/// Threads that a member is taken to count with, whatever it says.
pub const WORKER_THREADS_MAX: u16 = 64;

/// A tab's recording. The browser holds it, in memory or on disk as it likes.
pub const TAB_RECORDING_BYTES: u64 = 256 << 20;

/// What a node stored, as it stands at the start of a recording: the largest snapshot, a log and the names of its blocks.
pub const RECORDING_START_BYTES_MAX: usize = 2 * RAFT_SNAPSHOT_BYTES_MAX;

/// What is taken in together, in number and in bytes. What is larger is taken in alone.
pub const INPUTS_AT_ONCE_MAX: usize = 64;
pub const INPUTS_AT_ONCE_BYTES_MAX: usize = 1 << 20;

/// One input in a recording: the largest message of a peer, and what is said about it.
pub const RECORD_BYTES_MAX: usize = SOCKET_MESSAGE_BYTES_MAX + 4096;

/// Bytes of a recording that wait for its disk. A disk that falls further behind ends the recording, not the node.
pub const RECORDING_QUEUE_BYTES_MAX: usize = 64 << 20;
