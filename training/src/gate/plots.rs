//! The drawings of a model card, as SVG. Knows lines, bands and bars, and nothing of models.

use plotters::prelude::*;

/// Colour of the challenger, the champion, what was measured, and what is wanted.
pub(super) const CHALLENGER: RGBColor = RGBColor(0x2F, 0x6D, 0xB5);
pub(super) const CHAMPION: RGBColor = RGBColor(0xD9, 0x82, 0x00);
pub(super) const MEASURED: RGBColor = RGBColor(0x33, 0x33, 0x33);
pub(super) const WANTED: RGBColor = RGBColor(0xA0, 0xA0, 0xA0);

/// Units of a drawing; the browser scales it.
const SIZE: (u32, u32) = (720, 300);

/// A line through points.
pub(super) struct Line {
    pub(super) color: RGBColor,
    pub(super) points: Vec<(f64, f64)>,
}

/// A drawing of lines over a band.
#[derive(Default)]
pub(super) struct Drawing {
    pub(super) across: &'static str,
    pub(super) up: &'static str,
    /// Points with a low and a high.
    pub(super) band: Vec<(f64, f64, f64)>,
    pub(super) lines: Vec<Line>,
}

/// Why there is no drawing.
type Failure = DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>;

impl Drawing {
    /// The drawing as an SVG element; a sentence where it cannot be drawn.
    pub(super) fn svg(&self) -> String {
        let mut svg = String::new();
        match self.draw(&mut svg) {
            Ok(()) => svg,
            Err(error) => format!("<p>This drawing failed: {error}</p>"),
        }
    }

    fn draw(&self, svg: &mut String) -> Result<(), Failure> {
        let ends = self.lines.iter().flat_map(|line| &line.points).copied();
        let ends: Vec<(f64, f64)> =
            ends.chain(self.band.iter().flat_map(|(x, low, high)| [(*x, *low), (*x, *high)])).collect();
        let most = |value: fn(&(f64, f64)) -> f64| ends.iter().map(value).fold(0.0_f64, f64::max);
        let first = ends.iter().map(|end| end.0).fold(f64::INFINITY, f64::min);
        let first = if first.is_finite() { first } else { 0.0 };
        let (right, top) = (most(|end| end.0).max(first + 1e-9), most(|end| end.1).max(1e-9) * 1.05);
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .x_label_area_size(38)
            .y_label_area_size(64)
            .build_cartesian_2d(first..right, 0.0..top)?;
        chart.configure_mesh().disable_x_mesh().x_desc(self.across).y_desc(self.up).draw()?;
        let (low, high): (Vec<_>, Vec<_>) =
            self.band.iter().map(|(x, low, high)| ((*x, *low), (*x, *high))).unzip();
        if !low.is_empty() {
            let around: Vec<(f64, f64)> = low.into_iter().chain(high.into_iter().rev()).collect();
            chart.draw_series(std::iter::once(Polygon::new(around, CHALLENGER.mix(0.2).filled())))?;
        }
        for line in &self.lines {
            chart.draw_series(LineSeries::new(line.points.iter().copied(), line.color.stroke_width(2)))?;
        }
        root.present()
    }
}

/// Bars from the left, one below the other, with their names.
pub(super) fn bars(named: &[(&str, f64)]) -> String {
    let mut svg = String::new();
    let size = (720, 24 * named.len() as u32 + 40);
    let draw = |svg: &mut String| -> Result<(), Failure> {
        let root = SVGBackend::with_string(svg, size).into_drawing_area();
        let most = named.iter().map(|(_, value)| *value).fold(1e-9, f64::max);
        let count = named.len() as f64;
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .x_label_area_size(24)
            .build_cartesian_2d(-0.6 * most..most * 1.02, 0.0..count)?;
        let label = |value: &f64| if *value < 0.0 { String::new() } else { format!("{value:.3}") };
        chart.configure_mesh().disable_mesh().disable_y_axis().x_label_formatter(&label).draw()?;
        chart.draw_series(named.iter().enumerate().map(|(place, (_, value))| {
            let low = count - place as f64 - 0.85;
            Rectangle::new([(0.0, low), (*value, low + 0.7)], CHALLENGER.filled())
        }))?;
        chart.draw_series(named.iter().enumerate().map(|(place, (name, _))| {
            let at = (-0.6 * most, count - place as f64 - 0.25);
            Text::new((*name).to_owned(), at, ("sans-serif", 15))
        }))?;
        root.present()
    };
    match draw(&mut svg) {
        Ok(()) => svg,
        Err(error) => format!("<p>This drawing failed: {error}</p>"),
    }
}
