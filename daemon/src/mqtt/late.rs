//! A listener that could not be opened while the daemon ran: another program has its port, or a file of it cannot be read.

use super::backoff::Backoff;
use super::{BindError, Context, Inherited, Listener, stopped};
use crate::config::model::Listen;
use std::time::Instant;
use tokio::sync::watch;

/// Shows `error` as the source's problem, at once. The future opens the listener as soon as that is possible, and serves it
/// until `stop` says so.
pub fn listen_later(
    cfg: Listen,
    inherited: Inherited,
    error: &BindError,
    context: Context,
    mut stop: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + 'static {
    tell(&context, error);
    async move {
        let mut backoff = Backoff::default();
        loop {
            let again = Instant::now() + backoff.next();
            context.state.pulse.sleeps("waits until it can listen", again);
            tokio::select! {
                () = tokio::time::sleep_until(again.into()) => {}
                () = stopped(&mut stop) => return,
            }
            match Listener::bind(cfg.clone(), &inherited).await {
                Ok(listener) => {
                    context.well();
                    return listener.serve(context, stop).await;
                }
                Err(error) => tell(&context, &error),
            }
        }
    }
}

fn tell(context: &Context, error: &BindError) {
    context.trouble(&format!("{error}. It is tried again; the other sources run"));
}
