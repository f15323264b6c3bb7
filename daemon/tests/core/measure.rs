//! What the hot path costs. `cargo test --release -p tidegate --test core -- --ignored --nocapture measure`

use crate::rig::{Rig, at, message, plain};
use std::time::Instant;
use tidegate_pipeline::journal;

/// One-value JSON of 1,000 series, a new value each time.
fn texts(round: u64, count: u64) -> Vec<(String, String)> {
    (0..count)
        .map(|n| {
            let value = 20.0 + ((n * 7 + round * 13) % 1_000) as f64 / 100.0;
            let ts = at(0).as_millis() + i64::try_from(n / 10).unwrap();
            (format!("s/d{}/t", n % 1_000), format!(r#"{{"v":{value},"ts":{ts}}}"#))
        })
        .collect()
}

#[test]
#[ignore = "a measurement: run it in a release build"]
fn measure() {
    let mut rig = Rig::new(plain());
    let decide = |rig: &mut Rig, round: u64, count: u64| {
        let texts = texts(round, count);
        let start = Instant::now();
        let mut step = rig.pipeline.step();
        texts.iter().for_each(|(topic, text)| step.message(&message(0, topic, text)));
        let changes = step.finish(at(0), &|_| false, &Default::default());
        let decided = start.elapsed();
        let start = Instant::now();
        let encoded = journal::encode(&changes.entry);
        let packed = lz4_flex::block::compress(&encoded).len();
        let journaled = start.elapsed();
        (changes, decided, journaled, encoded.len(), packed)
    };
    for count in [4_096u64, 12_288] {
        let (mut decided, mut journaled, mut written) = (0, 0, 0);
        let (mut encoded, mut packed, mut wear, mut syncs) = (0, 0, 0, 0);
        for round in 0..41 {
            let (changes, step, journal, plain, small) = decide(&mut rig, round, count);
            let (bytes, before) = (rig.store.shared().wear().bytes(), rig.store.shared().wear().syncs());
            let start = Instant::now();
            rig.write(0, changes, |_| {}).unwrap();
            if round > 0 {
                written += start.elapsed().as_nanos();
                wear += rig.store.shared().wear().bytes() - bytes;
                syncs += rig.store.shared().wear().syncs() - before;
                (decided, journaled) = (decided + step.as_nanos(), journaled + journal.as_nanos());
                (encoded, packed) = (encoded + plain, packed + small);
            }
        }
        let n = u128::from(40 * count);
        println!(
            "{count} readings a commit: step {} ns, journal {} ns, commit in memory {} ns a reading; entry {:.1} B, \
             packed {:.1} B a reading; {} B to the medium and {:.1} syncs a commit, {:.1} B a reading",
            decided / n,
            journaled / n,
            written / n,
            encoded as f64 / n as f64,
            packed as f64 / n as f64,
            wear / 40,
            syncs as f64 / 40.0,
            wear as f64 / n as f64,
        );
    }
}
