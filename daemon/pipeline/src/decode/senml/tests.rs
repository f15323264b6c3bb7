use super::super::table::{Expected, check, everything, listed};
use crate::plan::Format;

fn senml(payload: &[u8], expected: Expected<'_>) {
    check(&everything(Format::Senml), payload, expected);
}

/// The examples of RFC 8428, sections 5.1.1 to 5.1.5, and what they resolve to.
#[test]
fn examples_of_the_rfc() {
    senml(
        br#"[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]"#,
        Ok("10e2073a01080063=23.1 [name=urn:dev:ow] @2026-11-22T10:00:00Z"),
    );
    senml(
        br#"[{"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.1},{"n":"current","u":"A","v":1.2}]"#,
        Ok("voltage=120.1 [name=urn:dev:ow:10e2073a01080063] @2026-11-22T10:00:00Z | \
            current=1.2 [name=urn:dev:ow:10e2073a01080063] @2026-11-22T10:00:00Z"),
    );
    senml(
        br#"[{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},
            {"n":"current","t":-5,"v":1.2},{"n":"current","v":1.7}]"#,
        Ok("voltage=120.1 [name=urn:dev:ow:10e2073a0108006] @2010-06-08T18:01:16.001Z | \
            current=1.2 [name=urn:dev:ow:10e2073a0108006] @2010-06-08T18:01:11.001Z | \
            current=1.7 [name=urn:dev:ow:10e2073a0108006] @2010-06-08T18:01:16.001Z"),
    );
    senml(
        br#"[{"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},{"n":"label","vs":"Machine Room"},
            {"n":"open","vb":false},{"n":"nfc-reader","vd":"aGkgCg"}]"#,
        Ok("temp=23.1 [name=urn:dev:ow:10e2073a01080063] @2026-11-22T10:00:00Z |  [name=urn:dev:ow:10e2073a01080063] @2026-11-22T10:00:00Z | \
            open=0 [name=urn:dev:ow:10e2073a01080063] @2026-11-22T10:00:00Z"),
    );
}

/// Section 6: {-2: "urn:dev:mac:1/", -3: 1795341600, 0: "t", 2: 21.5}, {0: "t", 6: -10, 2: 21.25 (half)}.
#[test]
fn in_cbor() {
    senml(
        b"\x82\xa4\x21\x6eurn:dev:mac:1/\x22\x1a\x6b\x02\xbd\x20\x00\x61t\x02\xfb\x40\x35\x80\x00\x00\x00\x00\x00\
          \xa3\x00\x61t\x06\x29\x02\xf9\x4d\x50",
        Ok("t=21.5 [name=urn:dev:mac:1] @2026-11-22T10:00:00Z | t=21.25 [name=urn:dev:mac:1] @2026-11-22T09:59:50Z"),
    );
    senml(b"\x81\xa1\x02\x01", Err("a record has no name"));
    senml(b"\x81\xa2\x00\x61t\x02", Err("CBOR"));
    senml(b"\x80\x00", Err("trailing"));
}

#[test]
fn base_fields_and_sums() {
    senml(
        br#"[{"bn":"a:","bv":20,"n":"t","v":1.5},{"n":"t","v":-0.5}]"#,
        Ok("t=21.5 [name=a] @2026-11-22T10:00:00Z | t=19.5 [name=a] @2026-11-22T10:00:00Z"),
    );
    senml(br#"[{"bs":100,"n":"water","s":5,"v":2}]"#, Ok("water=2 water/sum=105 @2026-11-22T10:00:00Z"));
    // Seconds from now, in both directions; 2^28 and more is a moment.
    senml(br#"[{"n":"t","t":-60,"v":1}]"#, Ok("t=1 @2026-11-22T09:59:00Z"));
    senml(br#"[{"n":"t","t":60,"v":1}]"#, Ok("t=1 @2026-11-22T10:01:00Z"));
    senml(br#"[{"n":"t","t":268435456,"v":1}]"#, Ok("t=1 @1978-07-04T21:24:16Z"));
    senml(br#"[{"n":"t","t":1e300,"v":1}]"#, Ok("t=1 @bad_time"));
    senml(br#"[{"bn":"a:","bt":5},{"n":"t","v":1,"x":[1,{}]}]"#, Ok("t=1 [name=a] @2026-11-22T10:00:05Z"));
    senml(b"[]", Ok("no records"));
    let listed = listed(Format::Senml, &[("power", Some("/p")), ("energy", Some("/p/sum"))], false);
    check(
        &listed,
        br#"[{"n":"p","v":5,"s":7},{"n":"q","v":1},{"n":"p","vs":"off"}]"#,
        Ok(
            "power=5 energy=7 @2026-11-22T10:00:00Z |  @2026-11-22T10:00:00Z | power!not_a_number @2026-11-22T10:00:00Z",
        ),
    );
}

#[test]
fn what_is_refused() {
    senml(b"{}", Err("list of records"));
    senml(b"[1]", Err("a SenML record"));
    senml(br#"[{"v":1}]"#, Err("a record has no name"));
    senml(br#"[{"bn":"a:","v":1}]"#, Err("a record has no name"));
    senml(br#"[{"bver":11,"n":"t","v":1}]"#, Err("version"));
    senml(br#"[{"n":"t","v":1,"new_":1}]"#, Err("`new_` is not known"));
    senml(br#"[{"n":7,"v":1}]"#, Err("a name of SenML is not text"));
    senml(br#"[{"n":"t","t":"now","v":1}]"#, Err("a number of SenML is not one"));
    senml(br#"[{"n":"t","v":[1]}]"#, Err("a number, a text or a truth value"));
    senml(br#"[{"n":"t","v":1}] x"#, Err("trailing"));
    senml(b"", Err("SenML"));
    senml(
        format!("[{}{}]", r#"{"n":"t","v":1},"#.repeat(1_000), r#"{"n":"t","v":1}"#).as_bytes(),
        Err("more readings"),
    );
}
