//! Rules of the core that tests can switch off, one at a time, to see whether they notice. Only the feature `mutations` has
//! a way to do so; without it every question is answered at compile time, and nothing of this is left.

/// A rule, named after what happens without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    // Elections.
    /// A vote leaves before it is on disk.
    VoteNotPersisted,
    /// Votes go to logs that are not up to date (§3.6.1).
    VoteForAnyLog,
    /// Half of the voters are taken for a majority.
    HalfIsMajority,
    /// A member votes only if it knows itself to be a voter.
    LearnersDoNotVote,
    /// A member without a vote never stands, even when it keeps all others from winning.
    LearnersNeverStand,
    /// A pre-candidate that is refused does not take over the higher term.
    RefusalTeachesNothing,
    /// A message of a lower term is ignored without a word.
    LowTermsGetNoAnswer,
    /// Patience begins again with every look at the clock.
    PatienceDrawnAtEveryTick,
    /// Everybody has the same patience, and nobody gives way.
    TiesRepeat,

    // A leader's doubts.
    /// A leader goes on without a majority (§6.2).
    LeaderNeverDoubts,
    /// A disk that does not answer is waited for.
    DiskStallIgnored,
    /// The first input after a pause is taken before the pause is noticed.
    PauseGoesUnnoticed,

    // Replication and commit.
    /// A follower acknowledges entries before they are on disk.
    AppendNotPersisted,
    /// A leader counts its own entries before they are on disk.
    LeaderCountsUnwritten,
    /// An acknowledgement of a write counts for entries that came later to the same place.
    OldWritesCountForNew,
    /// Entries of earlier terms commit by being counted (Figure 3.7, "Figure 8" of the short paper).
    CommitPriorTerm,
    /// The slowest voter is left out when a majority is looked for.
    CommitWithoutSlowest,
    /// A follower does not remove entries that conflict with the leader's.
    KeepConflictingTail,
    /// Answers of earlier terms count.
    OldTermsAnswer,
    /// A late acknowledgement takes back a newer one.
    MatchedMovesBack,
    /// A late refusal begins the search for agreement again.
    StaleRejectionCounts,
    /// What was ever proposed counts as uncommitted.
    UncommittedNeverFreed,

    // Configurations.
    /// Configurations change before the leader committed an entry of its own term.
    ChangeBeforeOwnCommit,
    /// A configuration is in force when it is committed instead of when it is in the log.
    #[cfg(feature = "mutations")]
    ConfigurationAtCommit,
    /// A joint configuration decides by its new half alone.
    JointIgnoresOutgoing,
    /// Only the leader that entered a joint configuration leaves it.
    JointLeftByItsLeaderOnly,
    /// A leader that was removed goes on.
    RemovedLeaderStays,
    /// Who was removed is told so once at most, and not by a later leader.
    FarewellForgotten,
    /// A member whose disk is empty takes itself for the whole cluster.
    #[cfg(feature = "mutations")]
    EmptyDiskIsCluster,
    /// Leadership is handed over until the target takes it.
    TransferNeverEnds,

    // Reads.
    /// Reads are answered without a round of heartbeats.
    ReadWithoutRound,
    /// Reads are answered before the leader committed an entry of its own term.
    ReadBeforeOwnCommit,
    /// An answer to an earlier round confirms the newest.
    AnyAnswerConfirmsReads,
    /// A lease counts from the answers to a round instead of from its sending.
    LeaseFromAnswers,
    /// A lease goes on while leadership is handed over.
    LeaseOutlivesTransfer,

    // Snapshots.
    /// A snapshot is installed without the configuration that comes with it.
    SnapshotKeepsMembership,
    /// A log that is as long as a snapshot is taken for one that holds it.
    SnapshotKeepsConflictingTail,
    /// A leader whose log is empty after its snapshot has nothing to send.
    IdleLogSendsNoSnapshot,
}
