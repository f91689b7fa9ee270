//! Waiting for something that can be observed.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Long enough for a busy two-core machine; a test that needs it all is a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Asks until the answer is `Ok`, and returns what is in it. Gives up after `patience` and says what was wrong last.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let mut asked = 0;
/// let answer = testkit::until("three", testkit::wait::PATIENCE, async || {
///     asked += 1;
///     if asked == 3 { Ok(asked) } else { Err(format!("only {asked}")) }
/// });
/// assert_eq!(answer.await, 3);
/// # });
/// ```
pub async fn until<T, E: Debug>(
    what: &str,
    patience: Duration,
    mut ask: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + patience;
    let mut last = "no answer at all".to_owned();
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        match tokio::time::timeout(left, ask()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(wrong)) => last = format!("{wrong:?}"),
            Err(_) => break,
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    panic!("waited {patience:?} in vain for {what}; last: {last}");
}
