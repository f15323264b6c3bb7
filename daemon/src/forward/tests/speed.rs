//! How fast events leave, the function and the forwarder sharing one thread:
//! `cargo test --release -p tidegate --lib forward::tests::speed -- --ignored --nocapture`

use super::*;

#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn events_per_second_to_a_local_function() {
    for (name, batch, compression, count) in [
        ("single", 1, Compression::None, 20_000),
        ("batch of 500", 500, Compression::None, 200_000),
        ("batch of 500, gzip", 500, Compression::Gzip, 200_000),
        ("batch of 500, zstd", 500, Compression::Zstd, 200_000),
    ] {
        let server = Server::start(|_, _| status(204)).await;
        let cfg = if batch == 1 { http(server.url()) } else { batched(server.url(), batch) };
        let outbox = Memory::with(count);
        let start = Instant::now();
        let run = Running::start(OutputKind::Http(Box::new(Http { compression, ..cfg })), outbox);
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
