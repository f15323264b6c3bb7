//! How fast events leave, the function and the forwarder sharing one thread:
//! `cargo test --release -p tidegate --lib forward::tests::speed -- --ignored --nocapture`

use super::*;

#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn events_per_second_to_a_local_function() {
    for (name, batch, gzip, count) in [
        ("single", 1, false, 20_000),
        ("batch of 500", 500, false, 200_000),
        ("batch of 500, gzip", 500, true, 200_000),
    ] {
        let server = Server::start(|_, _| status(204)).await;
        let cfg = if batch == 1 { http(server.url()) } else { batched(server.url(), batch) };
        let outbox = Memory::with(count);
        let start = Instant::now();
        let run = Running::start(OutputKind::Http(Http { gzip, ..cfg }), None, outbox);
        run.outbox.drained().await;
        let seconds = start.elapsed().as_secs_f64();
        let requests = run.state.snapshot().requests;
        println!(
            "{name}: {:.0} events/s, {:.0} requests/s",
            count as f64 / seconds,
            requests as f64 / seconds
        );
        run.stop().await;
    }
}
