//! `clean`: what each step means, and what is refused.

use super::{errors, valid};
use tidegate_pipeline::clean::{
    Action, Band, Convert, Deadband, Derive, Duplicate, Map, RateLimit, Spike, Step, Stuck, Where,
};
use tidegate_pipeline::expr::{Expr, Metrics, Names};
use tidegate_pipeline::plan::CleanStep;
use tidegate_pipeline::time::Span;

const OUTPUT: &str = "[outputs.ingest]\nurl = \"https://f.example/\"\n";

fn steps(text: &str) -> Vec<CleanStep> {
    let text = format!("[streams.s]\ntopic = \"s/{{device}}\"\n{text}\n{OUTPUT}");
    valid(&text).plan.streams.remove(0).clean
}

fn check(step: &str, expected: &Step) {
    let clean = steps(&format!("clean = [{{ {step} }}]"));
    assert_eq!(clean, [CleanStep { step: expected.clone(), metrics: None }], "{step}");
}

fn formula(text: &str) -> Expr {
    Expr::formula(text, &Names::message(&["device"], Metrics::Any)).unwrap()
}

#[test]
fn each_step() {
    let fahrenheit = Step::Convert(Convert::new("°F", "°C").unwrap());
    check("convert = \"°F -> °C\"", &fahrenheit);
    check("convert = '°F->°C'", &fahrenheit);
    check("convert = { from = \"°F\", to = \"°C\" }", &fahrenheit);
    let spike = |window, sigma, min_deviation| Step::Spike(Spike { window, sigma, min_deviation });
    check("spike = {}", &spike(7, 3.0, 0.0));
    check("spike = { window = 99, sigma = 2.5, min_deviation = 1 }", &spike(99, 2.5, 1.0));
    let stuck = |action| Step::Stuck(Stuck { after: Span::from_secs(3_600), action });
    check("stuck = { for = \"1h\" }", &stuck(Action::Reject));
    check("stuck = { for = \"1h\", action = \"flag\" }", &stuck(Action::Flag));
    check("rate_limit = { per_second = 5 }", &Step::RateLimit(RateLimit { per_second: 5.0 }));
    let deadband = |band, every: Option<i64>| {
        Step::Deadband(Deadband { band, at_least_every: every.map(Span::from_secs) })
    };
    check(
        "deadband = { absolute = 0.5, at_least_every = \"5m\" }",
        &deadband(Band::Absolute(0.5), Some(300)),
    );
    check("deadband = { percent = 1 }", &deadband(Band::Percent(1.0), None));
    check("duplicate = {}", &Step::Duplicate(Duplicate { within: Span::ZERO }));
    check("duplicate = { for = \"1m\" }", &Step::Duplicate(Duplicate { within: Span::from_secs(60) }));
    let texts = [("OFF", 0.0), ("ON", 1.0)].map(|(text, number)| (text.to_owned(), number)).into();
    check("map = { ON = 1, OFF = 0.0 }", &Step::Map(Map { texts }));
    let condition = Expr::condition("value > 0 and device != 'x'", &Names::reading(&["device"])).unwrap();
    check("where = \"value > 0 and device != 'x'\"", &Step::Where(Where { condition }));
    let derive = |unit: Option<&str>| {
        let unit = unit.map(str::to_owned);
        Step::Derive(Derive { metric: "sum".into(), from: formula("a + `b/c`"), unit })
    };
    check("derive = { metric = \"sum\", from = \"a + `b/c`\" }", &derive(None));
    check("derive = { metric = \"sum\", from = \"a + `b/c`\", unit = \"W\" }", &derive(Some("W")));
}

#[test]
fn derived_metrics_are_known_to_other_steps_and_to_summaries() {
    let text = "[streams.s]\ntopic = \"s/{device}\"\nmetrics = { a = {} }\nclean = [\n\
                { scale = { factor = 2 }, metrics = [\"b\"] },\n\
                { derive = { metric = \"b\", from = \"a\" } },\n\
                { derive = { metric = \"c\", from = \"a + b\" } },\n\
                ]\n[summaries.m]\nmetrics = [\"c\"]\n[outputs.ingest]\nurl = \"https://f.example/\"\n";
    let plan = valid(text).plan;
    assert_eq!(plan.streams[0].clean.len(), 3);
    assert_eq!(plan.summaries[0].metrics, Some(vec!["c".to_owned()]));
}

#[test]
fn what_is_refused() {
    for (step, expected) in [
        ("{ convert = \"°F\" }", "3: `convert` does not say from which unit to which"),
        ("{ convert = \"psl -> kPa\" }", "3: unknown unit `psl`: did you mean `psi`?"),
        ("{ convert = \"furlong -> m\" }", "3: unknown unit `furlong`: not known here"),
        (
            "{ convert = \"°F -> kPa\" }",
            "3: `°F` does not convert into `kPa`: `°F` is a temperature, and `kPa` is a pressure",
        ),
        ("{ convert = { from = \"°F\" } }", "3: `to` is missing: needs `to`"),
        ("{ spike = { window = 2 } }", "3: `window` has to be between 3 and 99"),
        ("{ spike = { window = 100 } }", "3: `window` has to be between 3 and 99"),
        ("{ spike = { sigma = 0 } }", "3: `sigma` has to be greater than 0"),
        ("{ spike = { min_deviation = -1 } }", "3: `min_deviation` cannot be negative"),
        ("{ spike = 3 }", "3: `spike` has to be a table: this is a whole number"),
        ("{ stuck = {} }", "3: `for` is missing: needs `for`"),
        ("{ stuck = { for = \"0s\" } }", "3: `for` has to be between 1ms and 366d"),
        ("{ rate_limit = { per_second = 0 } }", "3: `per_second` has to be greater than 0"),
        ("{ rate_limit = { per_secnd = 3 } }", "3: unknown key `per_secnd`: did you mean `per_second`?"),
        ("{ deadband = {} }", "3: `deadband` needs one of `absolute` and `percent`"),
        (
            "{ deadband = { absolute = 1, percent = 1 } }",
            "3: `deadband` needs one of `absolute` and `percent`",
        ),
        ("{ deadband = { absolute = -0.5 } }", "3: `absolute` cannot be negative"),
        ("{ map = {} }", "3: `map` has to be a table of texts with their numbers: this is a table"),
        ("{ map = { ON = true } }", "3: `ON` has to be a number: this is true or false"),
        ("{ where = \"valeu > 3\" }", "3: `where` is not a condition: did you mean `value`?"),
        ("{ where = \"devcie == 'x'\" }", "3: `where` is not a condition: did you mean `device`?"),
        (
            "{ where = \"value + 1\" }",
            "3: `where` is not a condition: a condition is true or false: compare with something, as in `value > 60`",
        ),
        (
            "{ derive = { metric = \"t\", from = \"a > 1\" } }",
            "3: `from` is not a formula: this has to give a number: for a condition write `if(condition, 1, 0)`",
        ),
        ("{ derive = { metric = \"\", from = \"a\" } }", "3: `metric` is empty"),
        (
            "{ derive = { metric = \"t\", from = \"a\" }, metrics = \"a\" }",
            "3: `metrics` has no meaning here: `derive` makes `t`",
        ),
        ("{ duplicate = {}, spike = {} }", "3: two steps in one: which one is first?"),
    ] {
        errors::check(&format!("[streams.s]\ntopic = \"s/{{device}}\"\nclean = [{step}]\n"), &[expected]);
    }
}

#[test]
fn metrics_that_cannot_be() {
    let listed =
        |clean: &str| format!("[streams.s]\ntopic = \"s\"\nmetrics = {{ temp = {{}} }}\nclean = {clean}\n");
    for (clean, expected) in [
        (
            "[{ derive = { metric = \"x\", from = \"tmep + 1\" } }]",
            "4: `from` is not a formula: did you mean `temp`?",
        ),
        ("[{ derive = { metric = \"temp\", from = \"1 + 1\" } }]", "4: `clean` gives `temp` twice"),
        (
            "[{ derive = { metric = \"x\", from = \"temp\" } }, { derive = { metric = \"x\", from = \"temp\" } }]",
            "4: `clean` gives `x` twice",
        ),
    ] {
        errors::check(&listed(clean), &[expected]);
    }
}

/// The caret stands below what is wrong.
#[test]
fn the_caret_points_into_the_expression() {
    for (clean, wrong, label) in [
        ("where = \"value >> 3\"", "> 3\"", "^ a value is missing before this"),
        ("convert = \"°F -> °X\"", "°X", "^^ "),
        ("convert = { from = \"°X\", to = \"°F\" }", "\"°X\"", "^^^^ "),
    ] {
        let line = format!("clean = [{{ {clean} }}]");
        let text = format!("[streams.s]\ntopic = \"s\"\n{line}\n{OUTPUT}");
        let shown = super::read(&text).unwrap_err().render(false);
        let column = line[..line.find(wrong).unwrap()].chars().count();
        let expected = format!("3 | {line}\n  | {}{label}", " ".repeat(column));
        assert!(shown.contains(&expected), "{expected}\n{shown}");
    }
}

#[test]
fn what_compares_readings_needs_all_of_them() {
    let text = |step: &str| {
        format!(
            "[sources.a]\nshared_group = \"g\"\n[streams.s]\ntopic = \"s\"\nclean = [{{ {step} }}]\n{OUTPUT}"
        )
    };
    assert_eq!(valid(&text("range = { min = 0 }")).plan.streams[0].clean.len(), 1);
    for step in [
        "spike = {}",
        "stuck = { for = \"1h\" }",
        "rate_limit = { per_second = 1 }",
        "deadband = { absolute = 1 }",
        "duplicate = {}",
    ] {
        let key = step.split(' ').next().unwrap();
        let error = super::read(&text(step)).unwrap_err().render(false);
        assert!(error.contains(&format!("error: `{key}` needs every reading of a sensor")), "{error}");
    }
}
