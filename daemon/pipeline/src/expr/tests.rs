//! Tables of expressions, and every example of docs/expressions.md.

use super::*;
use proptest::prelude::*;

const TAGS: &[&str] = &["device", "room", "my-tag"];

/// Sunday, 2026-11-22T10:30:15Z.
const SUNDAY: Time = Time::from_millis(1_795_343_415_000);

fn tags() -> Vec<(String, String)> {
    [("device", "pump"), ("my-tag", "x")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn metric(name: &str) -> Option<f64> {
    [("temperature", 21.5), ("humidity", 40.0), ("ENERGY/Power", 3.0)]
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| *value)
}

/// What an expression gives, as text.
fn shown(expr: &Expr, value: f64) -> String {
    let tags = tags();
    let env = Env { metrics: &metric, ..Env::new(value, SUNDAY, &tags) };
    let result = match expr.kind() {
        Kind::Number => expr.number(&env).map(|number| number.to_string()),
        Kind::Truth => expr.test(&env).map(|truth| truth.to_string()),
        Kind::Text => Ok("a text".into()),
    };
    result.unwrap_or_else(|why| format!("{why:?}"))
}

/// With `value` = 61, the tags and the metrics above.
fn check(text: &str, expected: &str) {
    let names = Names { value: true, ..Names::message(TAGS, Metrics::Any) };
    let expr = Expr::parse(text, &names).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(shown(&expr, 61.0), expected, "{text}");
    let back: Expr = postcard::from_bytes(&postcard::to_stdvec(&expr).unwrap()).unwrap();
    assert_eq!((&back, shown(&back, 61.0).as_str()), (&expr, expected), "{text}");
}

#[test]
fn numbers() {
    check("value * 9 / 5 + 32", "141.8");
    check("1 + 2 * 3 - 4", "3");
    check("10 - 3 - 2", "5");
    check("2 * -3", "-6");
    check("-value + 1", "-60");
    check("(1 + 2) * 3", "9");
    check("7 % 4 + .5 + 1_000 + 1.5e1", "1018.5");
    check("-7 % 4", "-3");
    check("1 / 0", "NotFinite");
    check("0 / 0", "NotFinite");
    check("1e308 * 10", "NotFinite");
    check("temperature + humidity", "61.5");
    check("`ENERGY/Power` * 2", "6");
    check("pressure", "Missing");
    check("if(value > 60, 1, 0)", "1");
    check("if(device == 'pump', 2, pressure)", "2");
}

#[test]
fn functions() {
    check("abs(-3)", "3");
    check("ceil(1.2) + floor(1.8)", "3");
    check("clamp(value, 0, 50)", "50");
    check("clamp(value, 50, 0)", "NotFinite");
    check("exp(0) + ln(1) + log10(1000)", "4");
    check("max(1, value, 3)", "61");
    check("min(1, 0/0)", "NotFinite");
    check("pow(2, 10)", "1024");
    check("round(2.5) + round(-2.5)", "0");
    check("sqrt(value + 3)", "8");
    check("sqrt(-1)", "NotFinite");
    check("ln(0)", "NotFinite");
}

#[test]
fn conditions() {
    check("value > 60", "true");
    check("value >= 61 and value <= 61 && value == 61", "true");
    check("value < 61 or value != 61 || false", "false");
    check("not value > 60", "false");
    check("!(value > 60) or true", "true");
    check("true or false and false", "true");
    check("value in [1, 61]", "true");
    check("not device in ['a', \"b\"]", "true");
    check("value > 1 / 0", "NotFinite");
    check("0 / 0 != 1", "NotFinite");
    check("false and pressure > 1", "false");
    check("true or pressure > 1", "true");
    check("pressure > 1 or true", "Missing");
    check("if(value > 60, device == 'x', true)", "false");
}

#[test]
fn tags_and_metrics() {
    check("device == 'pump'", "true");
    check("device != \"pump\"", "false");
    check("`my-tag` == 'x'", "true");
    check("room == 'kitchen'", "Missing");
    check("has(room) and room == 'kitchen'", "false");
    check("has(device)", "true");
    check("has(pressure) or has(`ENERGY/Power`)", "true");
    check("if(has(room), room, device) == 'pump'", "true");
}

#[test]
fn parts_of_the_time() {
    check("year * 10000 + month * 100 + day", "20261122");
    check("hour * 10000 + minute * 100 + second", "103015");
    check("weekday", "7");
    check("hour in [22, 23] or hour < 6", "false");
    let expr = Expr::condition("hour == 11", &Names::reading(&[])).unwrap();
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    assert_eq!(expr.test(&Env { zone: &zone, ..Env::new(0.0, SUNDAY, &[]) }), Ok(true));
    for extreme in [Time::MIN, Time::MAX] {
        assert_eq!(expr.test(&Env::new(0.0, extreme, &[])), Ok(false));
    }
}

/// The text with what is wrong between `»` and `«`, and a part of the message.
fn check_error(marked: &str, message: &str) {
    let text = marked.replace(['»', '«'], "");
    let start = marked.find('»').unwrap();
    let end = marked.find('«').unwrap() - '»'.len_utf8();
    let error = Expr::condition(&text, &Names::reading(TAGS)).expect_err(&text);
    assert!(error.message.contains(message), "{text}: {error}");
    assert_eq!(error.at, start..end, "{text}: {error}");
}

#[test]
fn what_is_wrong_and_where() {
    check_error("»«", "is empty");
    check_error("value >»«", "missing at the end");
    check_error("value > »>« 3", "a value is missing before this");
    check_error("value »=« 3", "write `==`");
    check_error("value > 3 »&« true", "write `and`");
    check_error("value »^« 2 > 3", "pow(x, y)");
    check_error("value > »60°C«", "without a unit, `60`");
    check_error("value > »1e999«", "too great");
    check_error("»valeu« > 3", "there is no `valeu` here; known are value, device, room, my-tag, second");
    check_error("»temperature« > 3", "there is no `temperature`");
    check_error("value > 3 »value« < 5", "nothing joins");
    check_error("1 »<« value < 5", "two at a time");
    check_error("(value > 3»«", "closing `)`");
    check_error("value > 3»)«", "closes nothing");
    check_error("device == »pump«", "there is no `pump`");
    check_error("device == »'pump«", "the closing ' is missing");
    check_error("device == »2«", "write it in quotes");
    check_error("»2« != device", "write it in quotes");
    check_error("device == »value«", "a number never equals a text");
    check_error("device in [»2«]", "a text stands in quotes");
    check_error("»device« > 2", "tags are texts");
    check_error("value == »'2'«", "write it without quotes");
    check_error("!»value« > 60", "compare it with something");
    check_error("value == »true«", "write 1 or 0");
    check_error("»value« and true", "compare it with something");
    check_error("»sin(value)« > 0", "there is no function `sin`; known are abs, ceil");
    check_error("»abs(1, 2)« > 0", "`abs` takes one number");
    check_error("»if(true, 1)« > 0", "`if` takes three");
    check_error("if(true, 1, »'a'«) > 0", "needs a number");
    check_error("»has(value)«", "`has` takes the name");
    check_error("value in »3«", "after `in` comes a list");
    check_error("value in [3»«", "closing `]`");
    check_error("»value + 1«", "a condition is true or false");
}

#[test]
fn what_is_too_long() {
    use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_TOKENS_MAX};
    let names = Names::reading(&[]);
    let nested = |depth: usize| format!("{}value{} > 1", "(".repeat(depth), ")".repeat(depth));
    let most = (EXPRESSION_TOKENS_MAX - 3) / 2;
    assert!(Expr::condition(&nested(most), &names).is_ok());
    for bomb in
        [nested(most + 1), "-".repeat(EXPRESSION_TOKENS_MAX + 1), " ".repeat(EXPRESSION_BYTES_MAX + 1)]
    {
        let error = Expr::condition(&bomb, &names).unwrap_err();
        assert!(error.message.starts_with("an expression has at most"), "{error}");
    }
    let long = format!("0{} > 1", "+value".repeat((EXPRESSION_TOKENS_MAX - 3) / 2));
    assert_eq!(Expr::condition(&long, &names).unwrap().test(&Env::new(1.0, SUNDAY, &[])), Ok(true));
}

/// The examples of the document stand in rows `| expression | gives |` under "Examples".
#[test]
fn the_document_is_right() {
    let document = include_str!("../../../../docs/expressions.md");
    let section = document.split("## Examples").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` |"));
    let rows: Vec<_> = rows.filter_map(|row| row.split_once("` | `")).collect();
    assert!(rows.len() >= 12, "{} examples", rows.len());
    for (text, expected) in rows {
        // Markdown shows backticks between doubled ones.
        let text = text.strip_prefix("` ").and_then(|text| text.strip_suffix(" `")).unwrap_or(text);
        let expected = match expected {
            "missing" => "Missing",
            "not finite" => "NotFinite",
            other => other,
        };
        check(text, expected);
    }
    let names = function::FUNCTIONS.iter().map(|(name, ..)| *name).chain(["has", "if"]);
    for name in names {
        assert!(document.contains(&format!("| `{name}(")), "{name} has no row");
    }
    for (name, _) in part::PARTS {
        assert!(document.contains(&format!("| `{name}` |")), "{name} has no row");
    }
}

proptest! {
    /// Whatever somebody writes: a result or an error whose place lies within the text, never a panic.
    #[test]
    fn any_text_is_an_expression_or_an_error(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "value", "device", "hour", "1", "2.5", "'x'", "`a b`", "+", "-", "*", "/", "%", "<", ">=", "==", "!=", "and", "or",
                "not", "!", "in", "(", ")", "[", "]", ",", "if(", "max(", "has(", "true", "=", "°", "'", "\"", " ",
            ]),
            0..24,
        ),
        value in any::<f64>(),
    ) {
        let text = pieces.join(" ");
        match Expr::parse(&text, &Names { metrics: Metrics::Any, ..Names::reading(TAGS) }) {
            Ok(expr) => {
                let tags = tags();
                let env = Env::new(value, SUNDAY, &tags);
                let _ = expr.test(&env);
                if let Ok(number) = expr.number(&env) {
                    prop_assert!(number.is_finite());
                }
            }
            Err(error) => prop_assert!(text.get(error.at.clone()).is_some(), "{error:?}"),
        }
    }
}
