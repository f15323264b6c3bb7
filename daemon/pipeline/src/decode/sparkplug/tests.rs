use super::super::table::{everything, listed, read};
use super::proto::{Metric, Value};
use super::*;
use crate::plan::{Format, StreamPlan};
use prost::Message;

/// The whole message, as Eclipse Tahu and Ignition write it.
#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(uint64, optional, tag = "1")]
    timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
    #[prost(uint64, optional, tag = "3")]
    seq: Option<u64>,
    #[prost(string, optional, tag = "4")]
    uuid: Option<String>,
}

/// 2026-11-22T10:00:00Z.
const TEN: u64 = 1_795_341_600_000;

fn payload(seq: u64, metrics: Vec<Metric>) -> Vec<u8> {
    let uuid = Some("not ours".into());
    Payload { timestamp: Some(TEN), metrics, seq: Some(seq), uuid }.encode_to_vec()
}

fn metric(name: &str, alias: Option<u64>, kind: u32, value: Value) -> Metric {
    let name = (!name.is_empty()).then(|| name.to_owned());
    Metric { name, alias, datatype: (kind > 0).then_some(kind), value: Some(value), ..Metric::default() }
}

/// Messages one after the other, and what each gives.
fn check(stream: &StreamPlan, messages: &[(&str, Vec<u8>, &str)]) {
    let mut births = Births::default();
    for (topic, payload, expected) in messages {
        let line = read(stream, topic, payload, &mut births).unwrap_or_else(|error| error);
        assert_eq!(line, *expected, "{topic}");
    }
}

fn sparkplug() -> StreamPlan {
    everything(Format::Sparkplug)
}

fn node_birth(start: u64) -> Vec<u8> {
    payload(
        0,
        vec![
            metric("bdSeq", None, 4, Value::Long(start)),
            metric("Node Control/Rebirth", None, 11, Value::Boolean(false)),
            metric("Supply/Volts", Some(1), 9, Value::Float(24.1)),
            metric("Offset", Some(2), 3, Value::Int((-5i32).cast_unsigned())),
            metric("Model", Some(3), 12, Value::Text("X".into())),
            metric("Plain", None, 2, Value::Int(7)),
        ],
    )
}

#[test]
fn births_name_what_data_means() {
    let tags = "[group=plant,node=press] @2026-11-22T10:00:00Z";
    check(
        &sparkplug(),
        &[
            (
                "spBv1.0/plant/NDATA/press",
                payload(9, vec![metric("", Some(1), 0, Value::Float(1.0))]),
                &format!("alias 1!unknown_alias {tags}"),
            ),
            (
                "spBv1.0/plant/NBIRTH/press",
                node_birth(1),
                &format!("Supply/Volts=24.1 Offset=-5 Plain=7 {tags}"),
            ),
            (
                "spBv1.0/plant/NDATA/press",
                payload(
                    1,
                    vec![
                        metric("", Some(1), 0, Value::Float(23.9)),
                        metric("", Some(2), 0, Value::Int((-6i32).cast_unsigned())),
                        metric("Plain", None, 0, Value::Int(u32::from((-7i16).cast_unsigned()))),
                        metric("", Some(99), 0, Value::Int(1)),
                    ],
                ),
                &format!("Supply/Volts=23.9 Offset=-6 Plain=-7 alias 99!unknown_alias {tags}"),
            ),
            // A death of an earlier start, then that of this one.
            (
                "spBv1.0/plant/NDEATH/press",
                payload(0, vec![metric("bdSeq", None, 4, Value::Long(0))]),
                "no records",
            ),
            (
                "spBv1.0/plant/NDATA/press",
                payload(2, vec![metric("", Some(1), 0, Value::Float(1.0))]),
                &format!("Supply/Volts=1 {tags}"),
            ),
            (
                "spBv1.0/plant/NDEATH/press",
                payload(0, vec![metric("bdSeq", None, 4, Value::Long(1))]),
                "no records",
            ),
            (
                "spBv1.0/plant/NDATA/press",
                payload(3, vec![metric("", Some(1), 0, Value::Float(1.0))]),
                &format!("alias 1!unknown_alias {tags}"),
            ),
        ],
    );
}

#[test]
fn devices_have_tables_of_their_own() {
    let tags = "[device=arm,group=plant,node=press] @2026-11-22T10:00:00Z";
    let data = || payload(2, vec![metric("", Some(1), 0, Value::Double(2.5))]);
    check(
        &sparkplug(),
        &[
            (
                "spBv1.0/plant/NBIRTH/press",
                node_birth(1),
                "Supply/Volts=24.1 Offset=-5 Plain=7 [group=plant,node=press] @2026-11-22T10:00:00Z",
            ),
            (
                "spBv1.0/plant/DBIRTH/press/arm",
                payload(1, vec![metric("Angle", Some(1), 10, Value::Double(1.5))]),
                &format!("Angle=1.5 {tags}"),
            ),
            ("spBv1.0/plant/DDATA/press/arm", data(), &format!("Angle=2.5 {tags}")),
            ("spBv1.0/plant/DDEATH/press/arm", payload(3, vec![]), "no records"),
            ("spBv1.0/plant/DDATA/press/arm", data(), &format!("alias 1!unknown_alias {tags}")),
        ],
    );
}

#[test]
fn values_and_times() {
    let at = |millis: u64, metric: Metric| Metric { timestamp: Some(millis), ..metric };
    let null = Metric { is_null: Some(true), ..metric("n", None, 9, Value::Float(1.0)) };
    let data = payload(
        0,
        vec![
            at(TEN - 1_000, metric("a", None, 9, Value::Float(f32::NAN))),
            at(TEN - 1_000, metric("b", None, 11, Value::Boolean(true))),
            metric("c", None, 8, Value::Long(u64::MAX)),
            metric("d", None, 1, Value::Int(0xff)),
            metric("e", None, 17, Value::Bytes(vec![1])),
            null,
            at(u64::MAX, metric("f", None, 4, Value::Long(u64::MAX))),
        ],
    );
    let tags = "[group=g,node=n]";
    let topic = "spBv1.0/g/NDATA/n";
    check(
        &sparkplug(),
        &[(
            topic,
            data.clone(),
            &format!(
                "a!not_finite b=1 {tags} @2026-11-22T09:59:59Z | c=18446744073709552000 d=-1 {tags} @2026-11-22T10:00:00Z | \
                 f=-1 {tags} @bad_time"
            ),
        )],
    );
    let some = listed(Format::Sparkplug, &[("null", Some("/n")), ("bytes", Some("/e"))], false);
    check(
        &some,
        &[(
            topic,
            data,
            &format!(
                " {tags} @2026-11-22T09:59:59Z | null!no_value bytes!not_a_number {tags} @2026-11-22T10:00:00Z |  {tags} @bad_time"
            ),
        )],
    );
}

#[test]
fn what_is_refused_and_what_is_for_others() {
    let refused = "not valid Sparkplug: the topic is not one of Sparkplug";
    let empty = || payload(0, vec![]);
    check(
        &sparkplug(),
        &[
            ("spBv1.0/STATE/host", b"{\"online\":true}".to_vec(), "no records"),
            ("STATE/host", b"ONLINE".to_vec(), "no records"),
            ("spBv1.0/g/NCMD/n", b"\xff".to_vec(), "no records"),
            ("spBv1.0/g/NDATA/n", empty(), "no records"),
            ("spBv1.0/g/NDATA/n/d", empty(), refused),
            ("spBv1.0/g/DDATA/n", empty(), refused),
            ("spBv1.0/g/OTHER/n", empty(), refused),
            ("spAv1.0/g/NDATA/n", empty(), refused),
            ("x", empty(), refused),
            (
                "spBv1.0/g/NDATA/n",
                payload(0, vec![Metric::default()]),
                "not valid Sparkplug: a metric has no name",
            ),
            (
                "spBv1.0/g/NDATA/n",
                payload(0, vec![metric("a", None, 9, Value::Float(1.0)); 1_001]),
                "more readings than one message may carry",
            ),
        ],
    );
    let error = read(&sparkplug(), "spBv1.0/g/NDATA/n", b"\x12\xff", &mut Births::default());
    assert!(error.unwrap_err().starts_with("not valid Sparkplug: "));
}
