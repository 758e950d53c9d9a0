//! One chart as SVG, sized for a phone and scaled by the browser. Knows lines, bands and axes, and nothing
//! of batteries.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use sunkeep_models::time::{SLOT_SECONDS, Zone};

use super::words;
use crate::language::{Language, day};

pub(super) const SUN: RGBColor = RGBColor(0xD9, 0x82, 0x00);
pub(super) const LOAD: RGBColor = RGBColor(0x2F, 0x6D, 0xB5);
pub(super) const CHARGE: RGBColor = RGBColor(0x1F, 0x7A, 0x49);
pub(super) const KEEP: RGBColor = RGBColor(0xA8, 0x46, 0x2F);
const INK: RGBColor = RGBColor(0x5A, 0x60, 0x68);
const GRID: RGBColor = RGBColor(0xDD, 0xD8, 0xCE);

/// Units of the drawing; the browser makes it as wide as the screen.
const SIZE: (u32, u32) = (720, 340);
const FONT: u32 = 30;

/// A line through (seconds since 1970, value).
pub(super) struct Line {
    pub(super) color: RGBColor,
    pub(super) width: u32,
    pub(super) points: Vec<(i64, f64)>,
}

/// An area between (seconds since 1970, low, high).
pub(super) struct Band {
    pub(super) color: RGBColor,
    pub(super) points: Vec<(i64, f64, f64)>,
}

/// What the vertical axis measures.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    /// 0 to 1, shown in percent.
    Share,
    /// From nothing to at least this, W.
    Watts(f64),
}

/// A chart from one moment to another.
pub(super) struct Chart<'a> {
    pub(super) zone: &'a Zone,
    pub(super) language: Language,
    /// Seconds since 1970.
    pub(super) from: i64,
    /// Seconds since 1970.
    pub(super) to: i64,
    pub(super) scale: Scale,
    pub(super) bands: Vec<Band>,
    pub(super) lines: Vec<Line>,
    /// Points further apart than this are not joined, s.
    pub(super) gap: i64,
    /// What it shows, for those who do not see it.
    pub(super) label: String,
}

/// An axis whose marks and their names are known.
struct Axis {
    ends: Range<f64>,
    marks: Vec<(f64, String)>,
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.ends.start) / (self.ends.end - self.ends.start);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.marks.iter().map(|(value, _)| *value).collect()
    }

    fn range(&self) -> Range<f64> {
        self.ends.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let mark = self.marks.iter().find(|(mark, _)| mark == value);
        mark.map_or(String::new(), |(_, name)| name.clone())
    }
}

type Failed = DrawingAreaErrorKind<std::io::Error>;

impl Chart<'_> {
    /// The drawing; `None` if it failed, which drawing into memory has no reason to.
    pub(super) fn svg(&self) -> Option<String> {
        let mut svg = String::new();
        if let Err(error) = self.draw(&mut svg) {
            tracing::debug!("a chart could not be drawn: {error}");
            return None;
        }
        // The browser shall scale it, and say what it is.
        let body = svg.split_once('>')?.1.replace(" opacity=\"1\"", "").replace("\n</text>", "</text>");
        let label = maud::html! { svg role="img" viewBox={ "0 0 " (SIZE.0) " " (SIZE.1) } aria-label=(self.label) {} };
        let head = label.into_string();
        Some(format!("{}{body}", head.strip_suffix("</svg>").unwrap_or(&head)))
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn std::error::Error + '_>> {
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let marks = self.marks();
        let top = marks.last().copied().unwrap_or(1.0);
        let hours = self.hours().into_iter().map(|unix| (unix as f64, self.hour(unix)));
        let x = Axis { ends: self.from as f64..self.to as f64, marks: hours.collect() };
        let marks = marks.into_iter().map(|value| (value, self.mark(value)));
        let y = Axis { ends: 0.0..top, marks: marks.collect() };
        let mut chart = ChartBuilder::on(&root)
            .margin_top(14)
            .margin_right(16)
            .margin_bottom(2)
            .x_label_area_size(42)
            .y_label_area_size(104)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .label_style(("sans-serif", FONT).into_font().color(&INK))
            .axis_style(GRID)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()?;
        for band in &self.bands {
            for run in runs(&band.points, self.gap, |point| point.0) {
                let upper = run.iter().map(|(unix, _, high)| (*unix as f64, high.min(top)));
                let lower = run.iter().rev().map(|(unix, low, _)| (*unix as f64, low.min(top)));
                let around: Vec<_> = upper.chain(lower).collect();
                chart.draw_series(std::iter::once(Polygon::new(around, band.color.mix(0.22))))?;
            }
        }
        for line in &self.lines {
            for run in runs(&line.points, self.gap, |point| point.0) {
                let points = run.iter().map(|(unix, value)| (*unix as f64, value.min(top)));
                chart.draw_series(LineSeries::new(points, line.color.stroke_width(line.width)))?;
            }
        }
        root.present().map_err(|error: Failed| error)?;
        drop(chart);
        Ok(())
    }

    /// Every sixth hour of the home's own day.
    fn hours(&self) -> Vec<i64> {
        let first = self.from.div_euclid(SLOT_SECONDS) * SLOT_SECONDS;
        let slots = (self.to - first) / SLOT_SECONDS;
        (0..=slots)
            .map(|slot| first + slot * SLOT_SECONDS)
            .filter(|unix| *unix >= self.from && self.zone.local(*unix).second_of_day % (6 * 3600) == 0)
            .collect()
    }

    fn hour(&self, unix: i64) -> String {
        let local = self.zone.local(unix);
        match local.second_of_day / 3600 {
            0 => day(self.language, local.weekday),
            12 => local.to_string(),
            _ => String::new(),
        }
    }

    fn marks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Share => vec![0.0, 0.25, 0.5, 0.75, 1.0],
            Scale::Watts(most) => {
                let step = round_step(most.max(10.0) / 4.0);
                let steps = (most / step).ceil().max(1.0) as u32;
                (0..=steps).map(|place| f64::from(place) * step).collect()
            }
        }
    }

    fn mark(&self, value: f64) -> String {
        match self.scale {
            Scale::Share => words::percent(value),
            Scale::Watts(_) if value < 1.0 => "0".into(),
            Scale::Watts(most) if most >= 2000.0 => {
                self.language.figure(format_args!("{:.1} kW", value / 1000.0))
            }
            Scale::Watts(_) => format!("{value:.0} W"),
        }
    }
}

/// The next of 1, 2, 2.5, 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|factor| factor * decade >= least);
    factor.unwrap_or(10.0) * decade
}

/// Stretches of points without a gap.
fn runs<T>(points: &[T], gap: i64, when: impl Fn(&T) -> i64) -> impl Iterator<Item = &[T]> {
    points.chunk_by(move |a, b| when(b) - when(a) <= gap).filter(|run| run.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (least, step) in
            [(10.0, 10.0), (11.0, 20.0), (24.0, 25.0), (30.0, 50.0), (260.0, 500.0), (0.3, 0.5)]
        {
            assert!((round_step(least) - step).abs() < 1e-9, "{least}: {}", round_step(least));
        }
    }

    #[test]
    fn a_gap_is_not_drawn_over() {
        let points = [(0, 1.0), (10, 1.0), (100, 1.0), (110, 1.0), (500, 1.0)];
        let runs: Vec<_> = runs(&points, 20, |point| point.0).map(<[_]>::len).collect();
        assert_eq!(runs, [2, 2]);
    }

    #[test]
    fn marks_of_the_axis_are_local_hours() {
        let zone = Zone::named("Asia/Kolkata").unwrap();
        let chart = Chart {
            zone: &zone,
            language: Language::English,
            from: 1_767_225_600,
            to: 1_767_225_600 + 86_400,
            scale: Scale::Watts(900.0),
            bands: Vec::new(),
            lines: Vec::new(),
            gap: 3600,
            label: "<b>".into(),
        };
        let labels: Vec<_> = chart.hours().into_iter().map(|unix| chart.hour(unix)).collect();
        assert_eq!(labels, ["", "12:00", "", "Fri"], "UTC midnight is 05:30 in Kolkata");
        assert_eq!(chart.marks(), [0.0, 250.0, 500.0, 750.0, 1000.0]);
        let svg = chart.svg().unwrap();
        assert!(svg.contains("aria-label=\"&lt;b&gt;\"") && svg.ends_with("</svg>\n"), "{svg}");
    }
}
