//! Reading of files where it holds nobody up. A network file system or a medium that hangs holds a thread of its own, and
//! whoever waits for it is told after a while.

use crate::limits;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Reads one thing after the other: so what hangs costs one thread, however often it is tried.
#[derive(Clone, Debug)]
pub struct Files {
    free: Arc<Semaphore>,
    patience: Duration,
}

/// It took too long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the file system did not answer within {0:?}: does the network share or the medium that it is on hang? Mend it, or put the \
     file on a disk of this gateway"
)]
pub struct Hung(Duration);

impl Default for Files {
    fn default() -> Files {
        Files::with_patience(limits::FILES_TIMEOUT)
    }
}

impl Files {
    fn with_patience(patience: Duration) -> Files {
        Files { free: Arc::new(Semaphore::new(1)), patience }
    }

    /// Runs `job` on a thread where it may block. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// When it does not end in time, or one before it has not.
    pub async fn read<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Hung> {
        let reading = async {
            let permit = Arc::clone(&self.free).acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                // Until the job ends, whoever waits for it.
                let _permit = permit;
                job()
            })
            .await
        };
        match timeout(self.patience, reading).await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Cancelled: the runtime ends, and nobody reads this.
            Ok(Err(_)) | Err(_) => Err(Hung(self.patience)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc;

    #[tokio::test]
    async fn what_hangs_costs_one_thread_and_heals() {
        let patient = Files::with_patience(Duration::from_secs(20));
        assert_eq!(patient.read(|| 1).await, Ok(1));
        let files = Files { patience: Duration::from_millis(20), ..patient };
        let (mend, hangs) = mpsc::channel::<()>();
        let said = files.read(move || hangs.recv().is_ok()).await.unwrap_err();
        assert!(said.to_string().starts_with("the file system did not answer within 20ms"), "{said}");
        let started = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let started = Arc::clone(&started);
            assert_eq!(files.read(move || started.fetch_add(1, SeqCst)).await, Err(said.clone()));
        }
        assert_eq!(started.load(SeqCst), 0, "none is begun behind one that hangs");
        mend.send(()).unwrap();
        let patient = Files { patience: Duration::from_secs(20), ..files };
        assert_eq!(patient.read(|| 2).await, Ok(2));
    }
}
