//! The text that Prometheus reads: its exposition format, version 0.0.4.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::fmt::{Display, Write as _};

use super::counters::{Counters, Labels};
use super::histogram::Distribution;

/// What a number does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It grows, from the start of the process on.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many took how long.
    Histogram,
}

/// A page in the making.
#[derive(Debug, Default)]
pub struct Page(String);

/// All that is said under one name.
#[derive(Debug)]
pub struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Page {
    /// Begins what is said under this name. `help` is for somebody who looks at it at 3 a.m.
    pub fn family(&mut self, kind: Kind, name: &'static str, help: &'static str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        Family { page: self, name }
    }

    /// A family with one number and no labels.
    pub fn number(
        &mut self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
        number: impl Display,
    ) {
        self.family(kind, name, help).number(&[], number);
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.0
    }

    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "{line}").expect("a string takes all");
    }
}

impl Family<'_> {
    /// One number.
    pub fn number(&mut self, labels: &[(&str, &str)], number: impl Display) {
        self.sample("", labels, number);
    }

    /// 1 or 0.
    pub fn yes(&mut self, labels: &[(&str, &str)], yes: bool) {
        self.number(labels, u8::from(yes));
    }

    /// Every number of these, behind labels that they share.
    pub fn counters<L: Labels>(&mut self, shared: &[(&str, &str)], counters: &Counters<L>) {
        for (labels, count) in counters.texts() {
            self.number(&[shared, &labels].concat(), count);
        }
    }

    /// The same without those that are 0: for labels of which few combinations ever come up.
    pub fn counters_above_zero<L: Labels>(
        &mut self,
        shared: &[(&str, &str)],
        counters: &Counters<L>,
    ) {
        for (labels, count) in counters.texts().filter(|(_, count)| *count > 0) {
            self.number(&[shared, &labels].concat(), count);
        }
    }

    /// How long things took, in seconds.
    pub fn distribution(&mut self, labels: &[(&str, &str)], distribution: &Distribution) {
        for (bound, count) in distribution.cumulative() {
            let bound = bound.as_secs_f64().to_string();
            self.sample("_bucket", &[labels, &[("le", &bound)]].concat(), count);
        }
        let count = distribution.count();
        self.sample("_bucket", &[labels, &[("le", "+Inf")]].concat(), count);
        self.sample("_sum", labels, distribution.sum().as_secs_f64());
        self.sample("_count", labels, count);
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], number: impl Display) {
        let name = self.name;
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        if labels.is_empty() {
            self.page.line(format_args!("{name}{suffix} {number}"));
        } else {
            let labels = labels.join(",");
            self.page
                .line(format_args!("{name}{suffix}{{{labels}}} {number}"));
        }
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Histogram;
    use super::*;

    const BOUNDS: &[Duration] = &[Duration::from_micros(500), Duration::from_secs(2)];

    // Written out after the examples of the format's description; the lab has `promtool` read a whole page.
    #[test]
    fn text_is_as_the_format_has_it() {
        let mut page = Page::default();
        page.number(Kind::Gauge, "a_seconds", "A time.", 1.5);
        let mut odd = page.family(Kind::Counter, "b_total", "Odd labels.");
        odd.number(&[("path", "C:\\DIR\n\"x\""), ("code", "7")], 3_u64);
        let histogram = Histogram::new(BOUNDS);
        histogram.observe(Duration::from_millis(250));
        histogram.observe(Duration::from_secs(60));
        let mut times = page.family(Kind::Histogram, "c_seconds", "Times.");
        times.distribution(&[("side", "x")], &histogram.read());
        let expected = r#"# HELP a_seconds A time.
# TYPE a_seconds gauge
a_seconds 1.5
# HELP b_total Odd labels.
# TYPE b_total counter
b_total{path="C:\\DIR\n\"x\"",code="7"} 3
# HELP c_seconds Times.
# TYPE c_seconds histogram
c_seconds_bucket{side="x",le="0.0005"} 0
c_seconds_bucket{side="x",le="2"} 1
c_seconds_bucket{side="x",le="+Inf"} 2
c_seconds_sum{side="x"} 60.25
c_seconds_count{side="x"} 2
"#;
        assert_eq!(page.into_text(), expected);
    }
}
