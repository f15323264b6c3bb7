//! Units that can be converted, by name.
//!
//! Factors are exact where the unit is defined exactly; all are those of NIST SP 811 (2008), appendix B, and of the SI
//! brochure (9th edition, 2019). The well-kept crates that know units (`uom`, `measurements`, `dimensioned`) know them as types,
//! when the program is compiled; finding one by a name from a configuration would need a table like this beside them. Those
//! that find them by name are young, and not exact: a mile of `convert-units` 0.1 has 1.609 343 95 km.

/// What a unit measures. Only units of one quantity convert into each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantity {
    /// With its article, for messages.
    pub(super) name: &'static str,
    /// The first is the one to which the factors of the others lead.
    pub(super) units: &'static [Unit],
}

/// A unit: `(value - zero) × numerator / denominator` is the value in the quantity's first unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unit {
    /// How it is written; the first name is what summaries carry.
    pub(super) names: &'static [&'static str],
    pub(super) zero: f64,
    pub(super) numerator: f64,
    pub(super) denominator: f64,
}

impl Eq for Unit {}

const fn unit(names: &'static [&'static str], numerator: f64, denominator: f64) -> Unit {
    Unit { names, zero: 0.0, numerator, denominator }
}

const fn times(names: &'static [&'static str], factor: f64) -> Unit {
    unit(names, factor, 1.0)
}

const fn per(names: &'static [&'static str], divisor: f64) -> Unit {
    unit(names, 1.0, divisor)
}

const TEMPERATURE: &[Unit] = &[
    times(&["°C", "C", "degC", "celsius"], 1.0),
    Unit { names: &["°F", "F", "degF", "fahrenheit"], zero: 32.0, numerator: 5.0, denominator: 9.0 },
    Unit { names: &["K", "kelvin"], zero: 273.15, numerator: 1.0, denominator: 1.0 },
];

// A pound-force is 0.453 592 37 kg × 9.806 65 m/s², an inch 0.025 4 m.
const PRESSURE: &[Unit] = &[
    times(&["Pa"], 1.0),
    times(&["hPa"], 100.0),
    times(&["kPa"], 1e3),
    times(&["MPa"], 1e6),
    times(&["mbar"], 100.0),
    times(&["bar"], 1e5),
    unit(&["psi"], 4.448_221_615_260_5, 0.000_645_16),
    times(&["atm"], 101_325.0),
    unit(&["Torr"], 101_325.0, 760.0),
    times(&["mmHg"], 133.322_387_415),
    times(&["inHg"], 3_386.389),
    times(&["mmH2O", "mmH₂O"], 9.806_65),
];

const LENGTH: &[Unit] = &[
    times(&["m"], 1.0),
    per(&["µm", "μm", "um"], 1e6),
    per(&["mm"], 1e3),
    per(&["cm"], 100.0),
    times(&["km"], 1e3),
    unit(&["in", "inch"], 254.0, 1e4),
    unit(&["ft"], 3_048.0, 1e4),
    unit(&["yd"], 9_144.0, 1e4),
    times(&["mi"], 1_609.344),
    times(&["nmi"], 1_852.0),
];

const AREA: &[Unit] = &[
    times(&["m²", "m2"], 1.0),
    per(&["cm²", "cm2"], 1e4),
    times(&["km²", "km2"], 1e6),
    times(&["ha"], 1e4),
    times(&["ft²", "ft2"], 0.092_903_04),
    times(&["acre"], 4_046.872_609_874_252),
];

const VOLUME: &[Unit] = &[
    times(&["l", "L"], 1.0),
    per(&["ml", "mL"], 1e3),
    times(&["m³", "m3"], 1e3),
    times(&["ft³", "ft3"], 28.316_846_592),
    times(&["gal"], 3.785_411_784),
    times(&["gal (UK)"], 4.546_09),
];

const FLOW: &[Unit] = &[
    times(&["l/min", "L/min"], 1.0),
    times(&["l/s", "L/s"], 60.0),
    per(&["l/h", "L/h"], 60.0),
    unit(&["m³/h", "m3/h"], 1e3, 60.0),
    times(&["gal/min", "gpm"], 3.785_411_784),
    times(&["ft³/min", "ft3/min", "cfm"], 28.316_846_592),
];

const MASS: &[Unit] = &[
    times(&["kg"], 1.0),
    per(&["mg"], 1e6),
    per(&["g"], 1e3),
    times(&["t"], 1e3),
    times(&["oz"], 0.028_349_523_125),
    times(&["lb"], 0.453_592_37),
];

const SPEED: &[Unit] = &[
    times(&["m/s"], 1.0),
    unit(&["km/h", "kmh"], 10.0, 36.0),
    times(&["mph", "mi/h"], 0.447_04),
    unit(&["kn", "kt"], 1_852.0, 3_600.0),
    unit(&["ft/s"], 3_048.0, 1e4),
];

const FORCE: &[Unit] = &[
    times(&["N"], 1.0),
    times(&["kN"], 1e3),
    times(&["kgf"], 9.806_65),
    times(&["lbf"], 4.448_221_615_260_5),
];

// The calorie is the thermochemical one, the British thermal unit that of the International Table.
const ENERGY: &[Unit] = &[
    times(&["J"], 1.0),
    times(&["kJ"], 1e3),
    times(&["MJ"], 1e6),
    times(&["Wh"], 3.6e3),
    times(&["kWh"], 3.6e6),
    times(&["MWh"], 3.6e9),
    times(&["cal"], 4.184),
    times(&["kcal"], 4_184.0),
    times(&["BTU", "Btu"], 1_055.055_852_62),
];

// The horsepower of 550 foot pounds-force a second; the metric one is that of 75 kgf·m/s.
const POWER: &[Unit] = &[
    times(&["W"], 1.0),
    per(&["mW"], 1e3),
    times(&["kW"], 1e3),
    times(&["MW"], 1e6),
    times(&["hp"], 745.699_871_582_270_2),
    times(&["PS"], 735.498_75),
    unit(&["BTU/h", "Btu/h"], 1_055.055_852_62, 3_600.0),
];

const TIME: &[Unit] = &[
    times(&["s"], 1.0),
    per(&["ns"], 1e9),
    per(&["µs", "μs", "us"], 1e6),
    per(&["ms"], 1e3),
    times(&["min"], 60.0),
    times(&["h"], 3_600.0),
    times(&["d"], 86_400.0),
];

const FREQUENCY: &[Unit] =
    &[times(&["Hz"], 1.0), times(&["kHz"], 1e3), times(&["MHz"], 1e6), per(&["rpm", "1/min"], 60.0)];

const ANGLE: &[Unit] =
    &[times(&["°", "deg"], 1.0), unit(&["rad"], 180.0, std::f64::consts::PI), unit(&["gon"], 9.0, 10.0)];

const VOLTAGE: &[Unit] =
    &[times(&["V"], 1.0), per(&["µV", "μV", "uV"], 1e6), per(&["mV"], 1e3), times(&["kV"], 1e3)];

const CURRENT: &[Unit] = &[times(&["A"], 1.0), per(&["µA", "μA", "uA"], 1e6), per(&["mA"], 1e3)];

const RESISTANCE: &[Unit] =
    &[times(&["Ω", "\u{2126}", "ohm"], 1.0), times(&["kΩ", "kohm"], 1e3), times(&["MΩ", "Mohm"], 1e6)];

const RATIO: &[Unit] =
    &[times(&["1"], 1.0), per(&["%"], 100.0), per(&["‰"], 1e3), per(&["ppm"], 1e6), per(&["ppb"], 1e9)];

const DATA: &[Unit] = &[
    times(&["B"], 1.0),
    times(&["kB"], 1e3),
    times(&["MB"], 1e6),
    times(&["GB"], 1e9),
    times(&["KiB"], 1_024.0),
    times(&["MiB"], 1_048_576.0),
    times(&["GiB"], 1_073_741_824.0),
    per(&["bit"], 8.0),
];

const LIGHT: &[Unit] = &[times(&["lx"], 1.0), times(&["klx"], 1e3), unit(&["fc"], 1.0, 0.092_903_04)];

/// All quantities. docs/configuration.md lists the names.
pub(super) const QUANTITIES: &[Quantity] = &[
    Quantity { name: "a temperature", units: TEMPERATURE },
    Quantity { name: "a pressure", units: PRESSURE },
    Quantity { name: "a length", units: LENGTH },
    Quantity { name: "an area", units: AREA },
    Quantity { name: "a volume", units: VOLUME },
    Quantity { name: "a flow", units: FLOW },
    Quantity { name: "a mass", units: MASS },
    Quantity { name: "a speed", units: SPEED },
    Quantity { name: "a force", units: FORCE },
    Quantity { name: "an energy", units: ENERGY },
    Quantity { name: "a power", units: POWER },
    Quantity { name: "a time", units: TIME },
    Quantity { name: "a frequency", units: FREQUENCY },
    Quantity { name: "an angle", units: ANGLE },
    Quantity { name: "a voltage", units: VOLTAGE },
    Quantity { name: "a current", units: CURRENT },
    Quantity { name: "a resistance", units: RESISTANCE },
    Quantity { name: "a ratio", units: RATIO },
    Quantity { name: "an amount of data", units: DATA },
    Quantity { name: "an illuminance", units: LIGHT },
];

/// The unit of that name, and what it measures.
pub(super) fn find(name: &str) -> Option<(&'static Quantity, &'static Unit)> {
    let of = |quantity: &'static Quantity| {
        let unit = quantity.units.iter().find(|unit| unit.names.contains(&name))?;
        Some((quantity, unit))
    };
    QUANTITIES.iter().find_map(of)
}
