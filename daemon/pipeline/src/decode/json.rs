//! JSON, by `serde_json` (RFC 8259; at most 128 levels deep), without building a document.

use super::shape::Shape;
use super::walk::walk;
use super::{DecodeError, Found};

pub(super) fn decode<'p>(shape: &Shape, payload: &'p [u8], found: &mut Found<'p>) -> Result<(), DecodeError> {
    let mut reader = serde_json::Deserializer::from_slice(payload);
    match walk(shape, found, &mut reader) {
        Ok(()) => reader.end().map_err(|error| DecodeError::Malformed("JSON", error.to_string())),
        Err((_, Some(ours))) => Err(ours),
        Err((error, None)) => Err(DecodeError::Malformed("JSON", error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Expected, check, everything, listed, value};
    use crate::limits::READINGS_PER_MESSAGE_MAX;
    use crate::plan::{Format, Pointer, StreamPlan};
    use crate::verdict::Reason;

    fn json(stream: &StreamPlan, payload: &str, expected: Expected<'_>) {
        check(stream, payload.as_bytes(), expected);
    }

    #[test]
    fn one_value() {
        let at = |at: &str| value(Format::Json, at);
        json(&at("/value"), r#"{"x":[1,{"y":2}],"value":21.5}"#, Ok("v=21.5"));
        json(&at("/a/1/b"), r#"{"a":[0,{"b":7}]}"#, Ok("v=7"));
        json(&at("/value"), r#"{"other":1}"#, Ok(""));
        json(&at("/value"), r#"{"value":{"deep":1}}"#, Ok("v!not_a_number"));
        json(&at("/value"), r#"{"value":1,"value":"un\u0061vailable"}"#, Ok("v!no_value"));
        json(&at("/value"), r#"{"value":18446744073709551615}"#, Ok("v=18446744073709552000"));
        json(&at(""), "[1]", Ok("v!not_a_number"));
        json(&at("/value"), r#"{"value":"21.5"}"#, Ok("v!not_a_number"));
        json(&at("/value"), r#"{"value":1e999}"#, Err("number out of range"));
        json(&at("/value"), r#"{"value":NaN}"#, Err("not valid JSON"));
        json(&at("/value"), r#"{"value":-Infinity}"#, Err("not valid JSON"));
        json(&at("/value"), r#"{"value":1} x"#, Err("trailing"));
        json(&at("/value"), r#"{"value":"#, Err("EOF"));
        json(&at("/value"), &"[".repeat(1_000), Err("EOF"));
    }

    #[test]
    fn all_leaves() {
        let all = everything(Format::Json);
        json(
            &all,
            r#"{"t":21.5,"on":true,"name":"x","none":null,"ENERGY":{"Total":[3,4]}}"#,
            Ok("t=21.5 on=1 ENERGY/Total/0=3 ENERGY/Total/1=4"),
        );
        json(&all, "{}", Ok(""));
        json(&all, " 21.5", Ok("value=21.5"));
        json(&all, "\"x\"", Err(Reason::NotANumber.name()));
        json(&all, &"[".repeat(1_000), Err("recursion"));
        json(&all, &format!("[{}0]", "0,".repeat(READINGS_PER_MESSAGE_MAX)), Err("more readings"));
    }

    #[test]
    fn listed_metrics_and_the_rest() {
        let payload = r#"{"t":1,"h":2,"ENERGY":{"Total":3}}"#;
        let metrics = [("temp", Some("/t")), ("ENERGY/Total", None)];
        json(&listed(Format::Json, &metrics, false), payload, Ok("temp=1 ENERGY/Total=3"));
        json(&listed(Format::Json, &metrics, true), payload, Ok("temp=1 ENERGY/Total=3 h=2"));
    }

    #[test]
    fn captures() {
        let payload = r#"{"src":"shelly","params":{"ts":1.5,"switch:0":{"apower":8.5,"voltage":230},
            "switch:1":{"apower":null},"switch:":{"apower":1},"input:0":{"apower":2},"aenergy":{"total":9}}}"#;
        let metrics = [
            ("apower", Some("/params/switch:{channel}/apower")),
            ("volts", Some("/params/{kind}:{channel}/voltage")),
            ("total", Some("/params/aenergy/total")),
        ];
        // Two captures within one token are refused when the pattern is parsed; each token has its own.
        assert!(crate::plan::PointerPattern::parse(metrics[1].1.unwrap()).is_err());
        let metrics = [metrics[0], ("volts", Some("/params/{part}/voltage")), metrics[2]];
        json(
            &listed(Format::Json, &metrics, false),
            payload,
            Ok("total=9 apower{channel=0}=8.5 volts{part=switch:0}=230 apower{channel=1}!no_value"),
        );
        let several = [("t", Some("/{room}/{shelf}/t"))];
        json(
            &listed(Format::Json, &several, true),
            r#"{"a":{"1":{"t":1,"h":5},"2":{"t":2}},"b":{"1":{"t":{"x":3}}},"t":4}"#,
            Ok(
                "t{room=a,shelf=1}=1 t{room=a,shelf=2}=2 t{room=b,shelf=1}!not_a_number a/1/h=5 b/1/t/x=3 t=4",
            ),
        );
        // Where the last token is a capture only numbers are readings.
        let loose = [("t", Some("/{probe}"))];
        json(
            &listed(Format::Json, &loose, false),
            r#"{"a":1,"b":"x","c":{"d":1},"e":null}"#,
            Ok("t{probe=a}=1"),
        );
    }

    #[test]
    fn a_list_of_records() {
        let with_each = |each: &str, mut stream: StreamPlan| {
            stream.each = Some(Pointer::parse(each).unwrap());
            stream
        };
        let mut plan = with_each("/readings", listed(Format::Json, &[("t", Some("/v/t"))], false));
        plan.tags = vec![("room".into(), crate::plan::TagPlan::At(Pointer::parse("/room").unwrap()))];
        json(
            &plan,
            r#"{"readings":[{"v":{"t":1}},{"v":{"t":2},"room":"attic"},{}],"room":"cellar","v":{"t":9}}"#,
            Ok("t=1 [room=cellar] | t=2 [room=attic] |  [room=cellar]"),
        );
        let all = with_each("", everything(Format::Json));
        json(&all, r#"[{"t":1,"x":{"y":2}},3,{"t":4}]"#, Ok("t=1 x/y=2 | value=3 | t=4"));
        json(&all, r#"{"t":1}"#, Ok("no records"));
        let inner = with_each("/a/1", everything(Format::Json));
        json(&inner, r#"{"b":7,"a":[[1],[{"t":1},{"t":2}],5]}"#, Ok("t=1 | t=2"));
        let many = format!("[{}1]", "{},".repeat(READINGS_PER_MESSAGE_MAX));
        json(&all, &many, Err("more readings"));
        json(&all, r#"[{"t":1},{"t":"#, Err("EOF"));
        let twice = with_each("", listed(Format::Json, &[("t", None), ("h", None)], false));
        json(&twice, &format!("[{}{{}}]", r#"{"t":1,"h":2},"#.repeat(501)), Err("more readings"));
    }

    #[test]
    fn numbers_as_text() {
        let mut plan = listed(Format::Json, &[("t", None), ("on", None), ("x", None)], false);
        let payload = r#"{"t":" 21.5","on":"ON","x":"NaN"}"#;
        json(&plan, payload, Ok("t!not_a_number on!not_a_number x!not_a_number"));
        plan.numbers_as_text = true;
        json(&plan, payload, Ok("t=21.5 on=1 x!not_finite"));
        plan.fields = everything(Format::Json).fields;
        json(&plan, r#"{"t":"21.5","name":"kitchen"}"#, Ok("t=21.5"));
    }

    #[test]
    fn a_long_name_is_not_kept_whole() {
        let long = "k".repeat(100_000);
        let payload = format!(r#"{{"{long}":{{"a":1,"b":2}}}}"#);
        let cut = "k".repeat(crate::limits::NAME_BYTES_MAX + 4);
        json(&everything(Format::Json), &payload, Ok(&format!("{cut}=1 {cut}=2")));
    }
}
