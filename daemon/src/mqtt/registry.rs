//! The client ids that are in use on a listener. One client has one connection: the newest \[MQTT-3.1.4-3\].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{oneshot, watch};

/// Who is there.
#[derive(Debug)]
pub(super) struct Registry {
    clients_max: usize,
    clients: Clients,
}

type Clients = Arc<Mutex<HashMap<Arc<str>, Guest>>>;

#[derive(Debug)]
struct Guest {
    /// Tells the session to end. Taken by the first who wants its place.
    evict: Option<oneshot::Sender<()>>,
    /// Closed when the place is free.
    left: watch::Receiver<()>,
}

/// The right to a client id; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) client_id: Arc<str>,
    /// Comes when the same client connects again.
    pub(super) evicted: oneshot::Receiver<()>,
    clients: Clients,
    _left: watch::Sender<()>,
}

impl Registry {
    pub(super) fn new(clients_max: usize) -> Registry {
        Registry { clients_max, clients: Arc::default() }
    }

    /// Takes the place of `client_id`, once whoever has it is gone; of a new one where it is empty. `None` when all places
    /// are taken. Waits for as long as the other needs: the caller bounds that. Cancel safe.
    pub(super) async fn enter(&self, client_id: &str) -> Option<Place> {
        let client_id: Arc<str> = match client_id {
            "" => format!("tidegate-{:016x}", fastrand::u64(..)).into(),
            client_id => client_id.into(),
        };
        loop {
            let mut left = {
                let mut clients = lock(&self.clients);
                let full = clients.len() >= self.clients_max;
                match clients.get_mut(&client_id) {
                    None if full => return None,
                    None => return Some(self.settle(&client_id, &mut clients)),
                    Some(guest) => {
                        // Already told, or already going: either way it leaves.
                        let _ = guest.evict.take().map(|evict| evict.send(()));
                        guest.left.clone()
                    }
                }
            };
            // Nothing is ever sent: an error means that the place is free.
            let _ = left.changed().await;
        }
    }

    fn settle(&self, client_id: &Arc<str>, clients: &mut HashMap<Arc<str>, Guest>) -> Place {
        let (evict, evicted) = oneshot::channel();
        let (sender, left) = watch::channel(());
        clients.insert(Arc::clone(client_id), Guest { evict: Some(evict), left });
        Place { client_id: Arc::clone(client_id), evicted, clients: Arc::clone(&self.clients), _left: sender }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.clients).remove(&self.client_id);
    }
}

fn lock(clients: &Clients) -> MutexGuard<'_, HashMap<Arc<str>, Guest>> {
    clients.lock().unwrap_or_else(PoisonError::into_inner)
}
