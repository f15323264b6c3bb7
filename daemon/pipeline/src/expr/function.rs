//! Functions of numbers.

/// A function of one or more numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Ceil,
    Clamp,
    Exp,
    Floor,
    Ln,
    Log10,
    Max,
    Min,
    Pow,
    Round,
    Sqrt,
}

/// All of them: name, least and greatest number of arguments. docs/expressions.md has a row for each.
pub(super) const FUNCTIONS: &[(&str, Function, usize, usize)] = &[
    ("abs", Function::Abs, 1, 1),
    ("ceil", Function::Ceil, 1, 1),
    ("clamp", Function::Clamp, 3, 3),
    ("exp", Function::Exp, 1, 1),
    ("floor", Function::Floor, 1, 1),
    ("ln", Function::Ln, 1, 1),
    ("log10", Function::Log10, 1, 1),
    ("max", Function::Max, 2, 16),
    ("min", Function::Min, 2, 16),
    ("pow", Function::Pow, 2, 2),
    ("round", Function::Round, 1, 1),
    ("sqrt", Function::Sqrt, 1, 1),
];

impl Function {
    /// The value; NaN where there is none. The parser has seen to the number of arguments.
    pub(super) fn of(self, arguments: &[f64]) -> f64 {
        match (self, arguments) {
            (Function::Abs, [x]) => x.abs(),
            (Function::Ceil, [x]) => x.ceil(),
            // Not `f64::clamp`, which panics where the bounds are the wrong way round.
            (Function::Clamp, [x, least, most]) if least <= most => x.max(*least).min(*most),
            (Function::Exp, [x]) => x.exp(),
            (Function::Floor, [x]) => x.floor(),
            (Function::Ln, [x]) => x.ln(),
            (Function::Log10, [x]) => x.log10(),
            (Function::Max, all) => fold(all, f64::max),
            (Function::Min, all) => fold(all, f64::min),
            (Function::Pow, [x, y]) => x.powf(*y),
            // Halves away from zero, as people round.
            (Function::Round, [x]) => x.round(),
            (Function::Sqrt, [x]) => x.sqrt(),
            _ => f64::NAN,
        }
    }
}

/// `f64::max` and `f64::min` step over a NaN; here it has to show.
fn fold(all: &[f64], choose: fn(f64, f64) -> f64) -> f64 {
    if all.iter().any(|x| x.is_nan()) {
        return f64::NAN;
    }
    all.iter().copied().reduce(choose).unwrap_or(f64::NAN)
}
