//! What bounds the core's memory per message, sensor and window. docs/limits.md explains each.

use crate::time::Span;

/// Readings that one message may give to one stream.
pub const READINGS_PER_MESSAGE_MAX: usize = 1_000;
/// Cells of a row of CSV.
pub const CSV_COLUMNS_MAX: usize = 256;
/// Sparkplug nodes and devices whose births are remembered; data of others with aliases is `unknown_alias`.
pub const SPARKPLUG_BIRTHS_MAX: usize = 4_096;
/// Metrics of all births that are remembered.
pub const SPARKPLUG_METRICS_MAX: usize = 32_768;
/// Bytes of a metric's or tag's name or value.
pub const NAME_BYTES_MAX: usize = 256;
/// Bytes of a payload that are kept as a dead letter; a larger message is rejected under its reason.
pub const DEAD_LETTER_BYTES_MAX: usize = 64 << 10;
/// Dead letters in one step; more are rejected under their reason.
pub const DEAD_LETTERS_PER_STEP_MAX: usize = 100;
/// Windows that one step closes because of the time, the clock or the plan: rendered, some 3 KB each. More are closed by the next.
pub const CLOSINGS_PER_STEP_MAX: usize = 2_000;
/// Topics whose route is remembered. Only a cache: beyond it, all are forgotten and looked up again.
pub const ROUTES_MAX: usize = 65_536;
/// Series that are remembered with a route; more are looked up by name each time.
pub const SERIES_PER_ROUTE_MAX: usize = 64;
/// Sessions whose deliveries are remembered for the content check; the longest unheard makes room.
pub const SESSIONS_MAX: usize = 10_000;
/// Deliveries by sequence alone that are remembered per counter (promise 2).
pub const SEQUENCES_REMEMBERED: usize = 1_024;
/// Of these, and of time stamps, each counter or series keeps so many when there is room for no more of all together.
pub const REMEMBERED_PER_COUNTER_MIN: usize = 16;
/// Sequence numbers below the highest that are remembered per boot.
pub const BOOT_WINDOW: u64 = 1_024;
/// Boots of one sensor that stay live (promise 2), with their clocks and what they lost.
pub const BOOTS_MAX: usize = 4;
/// Devices whose clocks are known; the longest unheard makes room.
pub const CLOCKS_MAX: usize = 10_000;
/// Time stamps that are remembered per series where `unique = "time"`.
pub const TIMES_REMEMBERED_MAX: usize = 16_384;
/// Closed sessions per series and summary that what comes late can still touch.
pub const SESSIONS_KEPT_MAX: usize = 256;
/// Last readings of closed windows that are known per series and summary, for the opening values of the next.
pub const CARRIED_MAX: usize = 128;
/// Keys that an event can name under `replaces`; windows that would need more are not merged.
pub const REPLACES_MAX: usize = 256;
/// Metrics of one device in a summary whose layout is wide; more are rejected (`series_limit`).
pub const WIDE_METRICS_MAX: usize = 256;
/// Series of summaries that are others now whose windows can still be amended should these come back; of more, those that
/// closed a window longest ago are forgotten.
pub const RETIRED_GROUPS_MAX: usize = 16_384;
/// Readings per series and summary that wait for their turn in the order of time; at this many half are let through.
pub const SORTED_MAX: usize = 1_024;
/// Different values of one window that `distinct` counts exactly; beyond, it estimates.
pub const DISTINCT_EXACT_MAX: usize = 128;
/// Values whose frequency one window counts for `mode`; beyond, the rarest make room.
pub const MODE_VALUES_MAX: usize = 64;
/// Readings of one window whose percentiles are exact; beyond, they are counted in buckets.
pub const QUANTILE_EXACT_MAX: usize = 64;
/// Buckets of one window's percentiles; beyond, they are joined in pairs and the error doubles.
pub const SKETCH_BUCKETS_MAX: usize = 320;
/// Bounds of a histogram.
pub const HISTOGRAM_BOUNDS_MAX: usize = 64;
/// Readings of one window that are kept in the order of their times, unless `samples_max` says otherwise.
pub const SAMPLES_MAX: u32 = 1_000;
/// The greatest `samples_max` that a summary can be given.
pub const SAMPLES_LIMIT: u32 = 100_000;
/// Bytes of inputs that are held while the time is not known; at this much the pipeline goes on without it. What one step
/// brings may go over.
pub const HELD_BYTES_MAX: u64 = 8 << 20;
/// Held inputs that are read in one step.
pub const HELD_RELEASE_MAX: u32 = 4_000;
/// Steps of the clock below this are none: nobody notices them.
pub const CLOCK_STEP_MIN: Span = Span::from_secs(1);
/// Bytes of a payload that a trace shows.
pub const EXCERPT_BYTES_MAX: usize = 200;
/// Bytes of an expression's text.
pub const EXPRESSION_BYTES_MAX: usize = 4 << 10;
/// Words and signs of an expression: bounds its depth, its memory and the work of evaluating it.
pub const EXPRESSION_TOKENS_MAX: usize = 256;
/// Series whose rejections are shown by status: those with the most.
pub const REJECTING_SERIES_SHOWN: usize = 20;
/// Values that a cleaning step `spike` looks at, the present one included.
pub const SPIKE_WINDOW_MAX: usize = 99;
/// Bytes of a payload on an availability topic; a longer one is no availability.
pub const AVAILABILITY_BYTES_MAX: usize = 4 << 10;
/// Raw readings that are recorded for the captures of alerts, of all series together; the oldest make room.
pub const CAPTURE_READINGS_MAX: usize = 65_536;
/// Readings in one event of a capture; more go into further events.
pub const CAPTURE_PART_MAX: usize = 500;
/// A capture that later raises make longer ends at so many times `capture`, and another begins.
pub const CAPTURE_SPANS_MAX: i64 = 4;
/// How long after its end a capture is sent: what arrived before has been read then.
pub const CAPTURE_GRACE: Span = Span::from_secs(2);
/// Raw readings in one event; more go into further events.
pub const RAW_EVENT_READINGS_MAX: usize = 500;
/// Bytes of one event of raw readings, as far as they and their series take them; more go into further events.
pub const RAW_EVENT_BYTES_MAX: usize = 128 << 10;
/// Times of being offline that are remembered of a sensor, for completeness.
pub const OFFLINE_SPANS_MAX: usize = 8;
