//! What functions in other languages are tested against: states of parts, the state of the whole, and what the aggregates of that are.

use super::samples::{all, time};
use std::fmt::Write;
use std::path::Path;
use tidegate_pipeline::aggregate::{Aggregate, Shown};
use tidegate_pipeline::partial::Partial;
use tidegate_pipeline::window::{Completeness, Lane};

/// Beside the library that reads them.
const FILE: &str = "../../functions/python/tests/vectors/state.jsonl";

/// Marsaglia's xorshift: the same numbers for ever, on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// From -30 to 270 in steps of a tenth, exactly the same in every language.
    #[expect(clippy::cast_precision_loss, reason = "small")]
    fn tenths(&mut self) -> f64 {
        self.below(3_000) as f64 / 10.0 - 30.0
    }

    /// Often the same.
    #[expect(clippy::cast_precision_loss, reason = "small")]
    fn one_of_three(&mut self) -> f64 {
        self.below(3) as f64
    }

    /// Any finite number.
    fn any(&mut self) -> f64 {
        let exponent = 1 + self.below(2_046);
        f64::from_bits(self.below(2) << 63 | exponent << 52 | self.below(1 << 52))
    }
}

struct Part {
    start: i64,
    end: i64,
    lanes: Vec<(&'static str, Lane)>,
}

impl Part {
    fn new(start: i64, end: i64, lane: Lane) -> Part {
        Part { start, end, lanes: vec![("power", lane)] }
    }

    fn encode(&self) -> String {
        let received = u32::try_from(self.lanes.len() + 4).unwrap();
        let completeness = Completeness { received, gaps: 2, ..Completeness::default() };
        Partial::encode(
            time(self.start),
            time(self.end),
            completeness,
            self.lanes.iter().map(|(n, l)| (*n, l)),
        )
    }
}

/// Consecutive minutes, each with the reading before it; among the readings breaks, and several at one time.
fn minutes(numbers: &mut Numbers, readings: u64, samples_max: u32) -> Vec<Part> {
    let mut opening = Some((time(-700), 7.5));
    let minute = |number: i64| {
        let mut lane = Lane::new(&all(), samples_max);
        lane.opening = opening;
        for _ in 0..numbers.below(readings + 1) {
            let at = time(60_000 * number + i64::try_from(numbers.below(240)).unwrap() * 250);
            if numbers.below(9) == 0 {
                lane.break_at(at);
            } else {
                lane.fold(at, numbers.tenths());
            }
        }
        opening = lane.last_sample().or(opening);
        Part::new(60_000 * number, 60_000 * (number + 1), lane)
    };
    (0..4).map(minute).collect()
}

/// One minute, of which each gateway got some readings.
fn gateways(
    numbers: &mut Numbers,
    readings: i64,
    samples_max: u32,
    value: fn(&mut Numbers) -> f64,
) -> Vec<Part> {
    let mut lanes = [Lane::new(&all(), samples_max), Lane::new(&all(), samples_max)];
    lanes[1].opening = Some((time(-400), 0.5));
    for number in 0..readings {
        let value = value(numbers);
        lanes[usize::from(numbers.below(3) == 0)].fold(time(number * 60_000 / readings), value);
    }
    lanes.map(|lane| Part::new(0, 60_000, lane)).into()
}

/// A window of `values` that all have one time.
fn at_one_time(values: impl Iterator<Item = f64>, samples_max: u32) -> Part {
    let mut lane = Lane::new(&all(), samples_max);
    values.for_each(|value| lane.fold(time(5_000), value));
    Part::new(0, 60_000, lane)
}

/// A metric and a state that only one of the parts has.
fn unlike() -> Vec<Part> {
    let mut one = Lane::new(&[Aggregate::Mean, Aggregate::Histogram([1.0].into())], 10);
    let mut other = Lane::new(&[Aggregate::Histogram([2.0].into()), Aggregate::Mean, Aggregate::Max], 10);
    one.fold(time(0), 1.5);
    other.fold(time(1), 2.5);
    let mut wide = Part::new(0, 60_000, other);
    wide.lanes.push(("humidity", Lane::new(&[Aggregate::Max], 10)));
    wide.lanes[1].1.fold(time(2), 40.0);
    vec![Part::new(0, 60_000, one), wide]
}

fn line(name: &str, parts: &[Part]) -> String {
    let texts: Vec<String> = parts.iter().map(Part::encode).collect();
    let mut whole = Partial::decode(&texts[0]).unwrap();
    texts[1..].iter().for_each(|text| whole.merge(&Partial::decode(text).unwrap()));
    let merged = Partial::encode(
        whole.start,
        whole.end,
        whole.completeness,
        whole.lanes.iter().map(|(name, lane)| (name.as_str(), lane)),
    );
    let lane = whole.lane("power").unwrap();
    let mut values = serde_json::Map::new();
    let mut approximate = Vec::new();
    for aggregate in all() {
        let value = aggregate.value(&lane.states, &lane.context(whole.start, whole.end));
        let shown = value.map_or(serde_json::Value::Null, |value| serde_json::json!(Shown(&value)));
        values.insert(aggregate.name().into_owned(), shown);
        if aggregate.is_approximate(&lane.states) {
            approximate.push(aggregate.name().into_owned());
        }
    }
    serde_json::json!({"name": name, "parts": texts, "merged": merged, "values": values, "approximate": approximate})
        .to_string()
}

/// The file holds what this code makes. `WRITE_VECTORS=1` writes it anew, which a change of the layout needs, and nothing else should.
#[test]
fn the_vectors_are_as_written() {
    let mut numbers = Numbers(88_172_645_463_325_252);
    let mut lines = String::new();
    let mut add = |name: &str, parts: Vec<Part>| writeln!(lines, "{}", line(name, &parts)).unwrap();
    for number in 0..6 {
        add(&format!("minutes {number}"), minutes(&mut numbers, 12, 1_000));
        add(&format!("minutes with few samples {number}"), minutes(&mut numbers, 40, 4));
        add(&format!("gateways {number}"), gateways(&mut numbers, 8 * (number + 1), 1_000, Numbers::tenths));
    }
    add("gateways, many readings, few samples", gateways(&mut numbers, 300, 16, Numbers::tenths));
    add("gateways, many readings, one of few", gateways(&mut numbers, 140, 8, Numbers::tenths));
    add("gateways, the whole scale", gateways(&mut numbers, 700, 4, Numbers::any));
    add("gateways, few values", gateways(&mut numbers, 50, 1_000, Numbers::one_of_three));
    add("minutes backwards", minutes(&mut numbers, 12, 1_000).into_iter().rev().collect());
    add("minutes backwards, few samples", minutes(&mut numbers, 40, 4).into_iter().rev().collect());
    let crowd = |numbers: &mut Numbers| at_one_time((0..3).map(|_| numbers.tenths()), 4);
    add("at one time", vec![crowd(&mut numbers), crowd(&mut numbers)]);
    for turned in [false, true] {
        let narrow = at_one_time((0..80).map(|_| numbers.tenths()), 4);
        let wide = at_one_time((0..500).map(|_| numbers.any()), 4);
        let parts = if turned { vec![wide, narrow] } else { vec![narrow, wide] };
        add(&format!("sketches of two levels, turned: {turned}"), parts);
    }
    add("unlike", unlike());
    add(
        "nothing",
        vec![Part::new(0, 60_000, Lane::new(&all(), 10)), Part::new(0, 60_000, Lane::new(&all(), 10))],
    );
    if std::env::var_os("WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(Path::new(FILE).parent().unwrap()).unwrap();
        std::fs::write(FILE, &lines).unwrap();
    }
    let written = std::fs::read_to_string(FILE).unwrap();
    assert!(written == lines, "{FILE} differs: was a change of the layout meant?");
}
