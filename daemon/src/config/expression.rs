//! Expressions in the configuration: what is wrong in one, where, and what was probably meant.

use super::field::Field;
use super::suggest::nearest;
use tidegate_pipeline::expr::{Expr, ExprError, Metrics, Names};

/// A condition over `names`.
pub(super) fn condition(field: &Field<'_>, names: &Names<'_>) -> Option<Expr> {
    let text = field.filled()?;
    read(field, text, names, Expr::condition(text, names), "a condition")
}

/// A formula over `names`.
pub(super) fn formula(field: &Field<'_>, names: &Names<'_>) -> Option<Expr> {
    let text = field.filled()?;
    read(field, text, names, Expr::formula(text, names), "a formula")
}

fn read(
    field: &Field<'_>,
    text: &str,
    names: &Names<'_>,
    parsed: Result<Expr, ExprError>,
    what: &str,
) -> Option<Expr> {
    let error = match parsed {
        Ok(expr) => return Some(expr),
        Err(error) => error,
    };
    let metrics = match names.metrics {
        Metrics::These(metrics) => metrics,
        Metrics::None | Metrics::Any => &[],
    };
    let value = names.value.then_some("value");
    let known = value.into_iter().chain(names.tags.iter().copied()).chain(metrics.iter().copied());
    let word = text.get(error.at.clone()).unwrap_or_default().trim_matches('`');
    let near = nearest(word, known).filter(|near| *near != word);
    let draft = field.cx.error(field.inner(error.at), format!("`{}` is not {what}", field.key));
    match near {
        Some(near) => draft.label(format!("did you mean `{near}`?")).help(error.message).report(),
        None => {
            let help = "docs/expressions.md has the names, operators and functions: \"value > 60 and device == 'pump'\"";
            draft.label(error.message).help(help).report();
        }
    }
    None
}
