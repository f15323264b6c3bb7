//! What the samples in `config/` make of payloads as the devices send them.

use super::machine;
use crate::config::parse;
use std::path::Path;
use tidegate_pipeline::Pipeline;
use tidegate_pipeline::message::{Message, Trace};
use tidegate_pipeline::time::Time;
use tidegate_pipeline::verdict::Verdict;

/// 2026-11-22T10:00:30Z: when everything arrives.
const ARRIVAL: Time = Time::from_millis(1_795_341_630_000);

/// Messages in the order of arrival, and the readings that come of each: `metric tags=value time`, or the reason.
fn check(sample: &str, messages: &[(&str, &str, &[&str])]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(sample);
    let text = std::fs::read_to_string(path).unwrap();
    let loaded = parse(&text, sample, Path::new("/etc/tidegate"), &machine());
    let mut pipeline = Pipeline::new(loaded.unwrap_or_else(|report| panic!("{report}")).config.plan);
    let mut step = pipeline.step();
    step.trace();
    for (topic, payload, expected) in messages {
        let (topic, retained) = match topic.strip_suffix(" (retained)") {
            Some(topic) => (topic, true),
            None => (*topic, false),
        };
        step.message(&Message {
            source: 0,
            session: "broker",
            topic: topic.as_bytes(),
            payload: payload.as_bytes(),
            retained,
            acknowledged: true,
            may_repeat: true,
            arrival: ARRIVAL,
        });
        let found: Vec<String> = step.traces().iter().map(line).collect();
        assert_eq!(found, *expected, "{sample}: {topic} {payload}");
    }
}

fn line(trace: &Trace) -> String {
    let tags: Vec<_> = trace.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let what = match trace.verdict {
        Verdict::Counted => {
            let time = trace.time.unwrap().rfc3339();
            format!("{} {}", trace.value.unwrap(), time.trim_start_matches("2026-11-22T"))
        }
        Verdict::Duplicate => "duplicate".into(),
        Verdict::Rejected(reason) => reason.name().into(),
        Verdict::DeadLettered(reason) => format!("dead {}", reason.name()),
    };
    let metric = trace.metric.as_deref().unwrap_or("-");
    [metric, &tags.join(","), &what].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[test]
fn zigbee2mqtt() {
    let climate = r#"{"battery":97,"humidity":48.2,"last_seen":"2026-11-22T11:00:00+01:00","linkquality":120,"temperature":21.5,
        "update":{"installed_version":16777241,"latest_version":16777241,"state":"idle"},"update_available":null,"voltage":3000}"#;
    let plug = r#"{"energy":1.2,"last_seen":"2026-11-22T11:00:10+01:00","power":17,"power_on_behavior":"previous","state":"ON",
        "indicator":{"mode":"off/on","led":{"brightness":128}}}"#;
    check(
        "zigbee2mqtt.toml",
        &[
            (
                "zigbee2mqtt/kitchen/climate",
                climate,
                &[
                    "temperature device=kitchen/climate 21.5 10:00:00Z",
                    "humidity device=kitchen/climate 48.2 10:00:00Z",
                    "battery device=kitchen/climate 97 10:00:00Z",
                    "linkquality device=kitchen/climate 120 10:00:00Z",
                ],
            ),
            // Everything again from the cache, as after a restart.
            (
                "zigbee2mqtt/kitchen/climate",
                climate,
                &[
                    "temperature device=kitchen/climate duplicate",
                    "humidity device=kitchen/climate duplicate",
                    "battery device=kitchen/climate duplicate",
                    "linkquality device=kitchen/climate duplicate",
                ],
            ),
            (
                "zigbee2mqtt/plug",
                plug,
                &[
                    "state device=plug 1 10:00:10Z",
                    "power device=plug 17 10:00:10Z",
                    "energy device=plug 1.2 10:00:10Z",
                    "led device=plug 128 10:00:10Z",
                ],
            ),
            (
                "zigbee2mqtt/0x00158d0001a2b3c4",
                r#"{"contact":false,"last_seen":"2026-11-22T11:00:20+01:00"}"#,
                &["contact device=attic/climate 0 10:00:20Z"],
            ),
            (
                "zigbee2mqtt/plug",
                r#"{"power":null,"last_seen":"2026-11-22T11:00:21+01:00"}"#,
                &["power device=plug no_value"],
            ),
            ("zigbee2mqtt/bridge/state", r#"{"state":"online"}"#, &["- unmatched"]),
            ("zigbee2mqtt/bridge/devices", "[]", &["- unmatched"]),
            ("zigbee2mqtt/kitchen/climate/availability", r#"{"state":"online"}"#, &["- unmatched"]),
            ("zigbee2mqtt/plug/set", r#"{"state":"OFF"}"#, &["- unmatched"]),
            ("zigbee2mqtt/plug/set/state", "OFF", &["- unmatched"]),
            ("zigbee2mqtt/plug/get", r#"{"state":""}"#, &["- unmatched"]),
        ],
    );
}

#[test]
fn tasmota() {
    check(
        "tasmota.toml",
        &[
            (
                "tele/greenhouse/SENSOR",
                r#"{"Time":"2026-11-22T11:00:00","AM2301":{"Temperature":21.5,"Humidity":48.0,"DewPoint":10.1},
                    "DS18B20-1":{"Id":"0316A2798F90","Temperature":19.3},"TempUnit":"C"}"#,
                &[
                    "temperature device=greenhouse,sensor=AM2301 21.5 10:00:00Z",
                    "humidity device=greenhouse,sensor=AM2301 48 10:00:00Z",
                    "temperature device=greenhouse,sensor=DS18B20-1 19.3 10:00:00Z",
                ],
            ),
            (
                "tele/plug3/SENSOR",
                r#"{"Time":"2026-11-22T11:00:05","ENERGY":{"TotalStartTime":"2024-01-01T00:00:00","Total":3.185,"Yesterday":0.1,
                    "Today":0.05,"Period":1,"Power":17,"ApparentPower":30,"ReactivePower":24,"Factor":0.57,"Voltage":231,
                    "Current":0.128}}"#,
                &[
                    "power device=plug3 17 10:00:05Z",
                    "energy device=plug3 3.185 10:00:05Z",
                    "voltage device=plug3 231 10:00:05Z",
                ],
            ),
            // A sensor that cannot be read.
            (
                "tele/greenhouse/SENSOR",
                r#"{"Time":"2026-11-22T11:00:10","AM2301":{"Temperature":null,"Humidity":48.5}}"#,
                &[
                    "temperature device=greenhouse,sensor=AM2301 no_value",
                    "humidity device=greenhouse,sensor=AM2301 48.5 10:00:10Z",
                ],
            ),
            // Before its clock is set.
            (
                "tele/plug3/SENSOR",
                r#"{"Time":"1970-01-01T00:00:12","ENERGY":{"Power":17}}"#,
                &["power device=plug3 too_late"],
            ),
            ("tele/plug3/STATE", r#"{"Time":"2026-11-22T11:00:00","POWER":"ON"}"#, &["- unmatched"]),
            ("tele/plug3/LWT", "Online", &["- unmatched"]),
        ],
    );
}

#[test]
fn shelly_gen2() {
    let topic = "shellyplus2pm-441793d69718/events/rpc";
    check(
        "shelly-gen2.toml",
        &[
            (
                topic,
                r#"{"src":"shellyplus2pm-441793d69718","dst":"shellyplus2pm-441793d69718/events","method":"NotifyStatus",
                    "params":{"ts":1795341600.25,"switch:0":{"id":0,"aenergy":{"by_minute":[0,0,0],"minute_ts":1795341599,
                    "total":11.679},"apower":8.9,"voltage":235.1},"switch:1":{"id":1,"apower":0}}}"#,
                &[
                    "energy channel=0,device=workshop 11.679 10:00:00.25Z",
                    "power channel=0,device=workshop 8.9 10:00:00.25Z",
                    "voltage channel=0,device=workshop 235.1 10:00:00.25Z",
                    "power channel=1,device=workshop 0 10:00:00.25Z",
                ],
            ),
            (
                topic,
                r#"{"src":"x","method":"NotifyStatus","params":{"ts":1795341601,"switch:1":{"id":1,"output":true,"source":"WS_in"}}}"#,
                &["output channel=1,device=workshop 1 10:00:01Z"],
            ),
            (
                "shellyhtg3-84fce6123456/events/rpc",
                r#"{"src":"x","method":"NotifyFullStatus","params":{"ts":1795341602,"temperature:0":{"id":0,"tC":21.4,"tF":70.5},
                    "humidity:0":{"id":0,"rh":44.1},"sys":{"uptime":5}}}"#,
                &[
                    "temperature channel=0,device=shellyhtg3-84fce6123456 21.4 10:00:02Z",
                    "humidity channel=0,device=shellyhtg3-84fce6123456 44.1 10:00:02Z",
                ],
            ),
            // A button, and nothing to count.
            (
                topic,
                r#"{"src":"x","method":"NotifyEvent","params":{"ts":1795341603,"events":[{"component":"input:0","event":"single_push"}]}}"#,
                &[],
            ),
            ("shellyplus2pm-441793d69718/online", "true", &["- unmatched"]),
        ],
    );
}

#[test]
fn esphome() {
    check(
        "esphome.toml",
        &[
            (
                "livingroom/sensor/temperature/state",
                "21.5",
                &["temperature device=livingroom 21.5 10:00:30Z"],
            ),
            ("livingroom/sensor/temperature/state", "nan", &["temperature device=livingroom not_finite"]),
            ("livingroom/binary_sensor/window/state", "ON", &["window device=livingroom 1 10:00:30Z"]),
            (
                "livingroom/sensor/temperature/state (retained)",
                "19",
                &["temperature device=livingroom retained"],
            ),
            ("livingroom/status", "online", &["- unmatched"]),
            ("livingroom/switch/pump/state", "ON", &["- unmatched"]),
        ],
    );
}

#[test]
fn plc() {
    check(
        "plc-csv.toml",
        &[
            (
                "plc/press-2",
                "22.11.2026 11:00:00;21,5;OK;1013,2\r\n22.11.2026 11:00:10;21,6;\"a; b\";\r\n",
                &[
                    "temperature machine=press-2 21.5 10:00:00Z",
                    "pressure machine=press-2 1013.2 10:00:00Z",
                    "temperature machine=press-2 21.6 10:00:10Z",
                    "pressure machine=press-2 no_value",
                ],
            ),
            (
                "plc/press-2",
                "22.11.2026 11:00:10;21,6;OK;1013,1\n22.11.2026 11:00:20;21,7;OK;1013\n",
                &[
                    "temperature machine=press-2 duplicate",
                    "pressure machine=press-2 1013.1 10:00:10Z",
                    "temperature machine=press-2 21.7 10:00:20Z",
                    "pressure machine=press-2 1013 10:00:20Z",
                ],
            ),
            ("plc/press-2", "22.11.2026 11:00:20;21,7;OK", &["- dead malformed"]),
        ],
    );
}

#[test]
fn homeassistant() {
    check(
        "homeassistant.toml",
        &[
            (
                "house/attic/climate",
                r#"{"temperature": 21.5, "humidity": 48.2}"#,
                &["temperature room=attic 21.5 10:00:30Z", "humidity room=attic 48.2 10:00:30Z"],
            ),
            // What it publishes itself is nothing that it subscribes to, and if it came it would match nothing.
            ("tidegate/pi/summary/recent/temperature/attic", r#"{"mean": 21.5}"#, &["- unmatched"]),
            ("house/attic/fan/set", "ON", &["- unmatched"]),
        ],
    );
}

#[test]
fn esp32() {
    check(
        "esp32-json.toml",
        &[
            (
                "greenhouse/bed-3/climate",
                r#"{"boot":12,"seq":4711,"ts":1795341600123,"t":21.5,"rh":48,"meta":{"fw":"1.4"}}"#,
                &[
                    "temperature bed=bed-3,firmware=1.4,site=north 21.5 10:00:00.123Z",
                    "humidity bed=bed-3,firmware=1.4,site=north 48 10:00:00.123Z",
                ],
            ),
            (
                "greenhouse/bed-3/climate",
                r#"{"boot":12,"seq":4711,"ts":1795341600123,"t":21.5,"rh":48,"meta":{"fw":"1.4"}}"#,
                &[
                    "temperature bed=bed-3,firmware=1.4,site=north duplicate",
                    "humidity bed=bed-3,firmware=1.4,site=north duplicate",
                ],
            ),
            (
                "greenhouse/bed-3/climate",
                r#"{"boot":12,"seq":4712,"ts":1795341601123,"t":99,"rh":48,"meta":{"fw":"1.4"}}"#,
                &[
                    "temperature bed=bed-3,firmware=1.4,site=north range",
                    "humidity bed=bed-3,firmware=1.4,site=north 48 10:00:01.123Z",
                ],
            ),
        ],
    );
}
