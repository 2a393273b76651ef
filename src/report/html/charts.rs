//! The charts of the HTML report, as SVG.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "lengths of bars in pixels"
)]

use crate::model::Timestamp;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::TAU;

/// A chart that cannot be drawn is left out; the page's tables say the same.
type Drawn = Result<(), Box<dyn std::error::Error + Send + Sync>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 760;
/// Rows of the timeline and people of the graph; a page shows no more.
pub const MOST: usize = 40;

/// Each messenger keeps its colour through all charts; they are told apart without colours by their words.
fn colour(service: &str) -> RGBColor {
    match service {
        "aim" => RGBColor(0xd9, 0x9a, 0x00),
        "icq" => RGBColor(0x3f, 0x9b, 0x3f),
        "oscar" => RGBColor(0x9a, 0x8a, 0x3a),
        "msn" => RGBColor(0x2f, 0x7d, 0xd1),
        "yahoo" => RGBColor(0x8a, 0x4f, 0xc8),
        _ => RGBColor(0x80, 0x80, 0x80),
    }
}

fn draw(height: u32, paint: impl FnOnce(&Area<'_>) -> Drawn) -> Option<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        paint(&area).ok()?;
        area.present().ok()?;
    }
    // What is black follows the page, light or dark; the rest of the page describes the picture.
    let svg = svg
        .replace("fill=\"#000000\"", "fill=\"currentColor\"")
        .replace("stroke=\"#000000\"", "stroke=\"currentColor\"")
        .replacen("<svg ", "<svg aria-hidden=\"true\" focusable=\"false\" ", 1);
    Some(svg)
}

fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&BLACK)
}

/// A horizontal bar for each messenger.
pub fn by_messenger(bytes: &BTreeMap<String, u64>) -> Option<String> {
    let most = *bytes.values().max().filter(|most| **most > 0)?;
    let height = 34 * bytes.len() as u32 + 6;
    draw(height, |area| {
        for (row, (service, count)) in (0..).zip(bytes) {
            let top = row * 34 + 6;
            let width = ((*count as f64 / most as f64) * 480.0).max(2.0) as i32;
            area.draw(&Text::new(super::title(service), (0, top + 5), text(15)))?;
            area.draw(&Rectangle::new(
                [(110, top), (110 + width, top + 24)],
                colour(service).filled(),
            ))?;
            let label = super::bytes(*count);
            area.draw(&Text::new(label, (118 + width, top + 5), text(14)))?;
        }
        Ok(())
    })
}

/// One flow: messenger, first and last packet, bytes.
#[derive(Clone, Debug)]
pub struct Span {
    /// The messenger.
    pub service: String,
    /// First packet.
    pub first: Timestamp,
    /// Last packet.
    pub last: Timestamp,
    /// Frame bytes.
    pub bytes: u64,
}

/// Seconds of one column, so that there are not too many.
fn step(seconds: i64) -> i64 {
    [1, 10, 60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400]
        .into_iter()
        .find(|step| seconds / step < 48)
        .unwrap_or(30 * 86_400)
}

fn seconds(time: Timestamp) -> i64 {
    time.as_nanos() / 1_000_000_000
}

fn clock(at: i64, step: i64) -> String {
    let text = Timestamp::from_nanos(at.saturating_mul(1_000_000_000)).to_string();
    let range = if step >= 86_400 { 0..10 } else { 11..19 };
    text.get(range).unwrap_or_default().to_owned()
}

/// How much each messenger moved, by the time at which the flows began. With the length of a column in seconds.
pub fn by_time(flows: &[Span]) -> Option<(String, i64)> {
    let first = flows.iter().map(|flow| seconds(flow.first)).min()?;
    let last = flows.iter().map(|flow| seconds(flow.first)).max()?;
    let step = step(last - first);
    let start = first - first.rem_euclid(step);
    let columns = (last - start) / step + 1;
    let mut totals: BTreeMap<i64, BTreeMap<&str, u64>> = BTreeMap::new();
    for flow in flows {
        let column = (seconds(flow.first) - start) / step;
        *totals
            .entry(column)
            .or_default()
            .entry(&flow.service)
            .or_default() += flow.bytes;
    }
    let most = totals.values().map(|all| all.values().sum::<u64>()).max()?;
    let (left, bottom, top) = (90, 190, 10);
    let wide = f64::from(WIDTH as i32 - left - 10) / columns as f64;
    let drawn = draw(230, |area| {
        let high =
            |bytes: u64| (bytes as f64 / most.max(1) as f64 * f64::from(bottom - top)) as i32;
        for (label, y) in [
            (most, top),
            (most / 2, i32::midpoint(top, bottom)),
            (0, bottom),
        ] {
            area.draw(&Text::new(super::bytes(label), (0, y - 6), text(13)))?;
            let line = [(left, y), (WIDTH as i32 - 10, y)];
            area.draw(&PathElement::new(line, BLACK.mix(0.2)))?;
        }
        for (column, all) in &totals {
            let x = left + (*column as f64 * wide) as i32;
            let mut y = bottom;
            for (service, bytes) in all {
                let up = y - high(*bytes).max(1);
                let right = x + (wide * 0.9).max(2.0) as i32;
                area.draw(&Rectangle::new(
                    [(x, up), (right, y)],
                    colour(service).filled(),
                ))?;
                y = up;
            }
        }
        for column in [0, columns / 2, columns - 1]
            .into_iter()
            .collect::<BTreeSet<_>>()
        {
            let x = left + (column as f64 * wide) as i32;
            let label = clock(start + column * step, step);
            area.draw(&Text::new(
                label,
                (x.min(WIDTH as i32 - 90), bottom + 12),
                text(13),
            ))?;
        }
        Ok(())
    })?;
    Some((drawn, step))
}

/// A row for each user, with a bar for each flow.
pub fn timeline(rows: &[(String, Vec<Span>)]) -> Option<String> {
    let all = || rows.iter().flat_map(|(_, flows)| flows);
    let first = all().map(|flow| flow.first).min()?;
    let last = all().map(|flow| flow.last).max()?;
    let whole = last.nanos_since(first).max(1) as f64;
    let (left, row_height) = (250, 24);
    let room = f64::from(WIDTH as i32 - left - 10);
    let place = |time: Timestamp| left + (time.nanos_since(first) as f64 / whole * room) as i32;
    let shown = &rows[..rows.len().min(MOST)];
    let bottom = row_height * shown.len() as i32 + 6;
    draw(bottom as u32 + 30, |area| {
        for (row, (name, flows)) in (0..).zip(shown) {
            let top = row * row_height + 6;
            let name: String = name.chars().take(36).collect();
            area.draw(&Text::new(name, (0, top + 2), text(13)))?;
            let line = [(left, top + 9), (WIDTH as i32 - 10, top + 9)];
            area.draw(&PathElement::new(line, BLACK.mix(0.15)))?;
            for flow in flows {
                let (from, to) = (place(flow.first), place(flow.last));
                area.draw(&Rectangle::new(
                    [(from, top + 2), (to.max(from + 3), top + 16)],
                    colour(&flow.service).mix(0.8).filled(),
                ))?;
            }
        }
        let step = step(seconds(last) - seconds(first));
        for (time, x) in [(first, left), (last, WIDTH as i32 - 90)] {
            area.draw(&Text::new(
                clock(seconds(time), step),
                (x, bottom + 8),
                text(13),
            ))?;
        }
        Ok(())
    })
}

/// Who talks to whom: people on a circle, a line between those who do, the thicker the more flows.
pub fn contacts(pairs: &BTreeMap<(String, String), u64>) -> Option<String> {
    let people: Vec<&String> = pairs
        .keys()
        .flat_map(|(one, other)| [one, other])
        .collect::<BTreeSet<_>>()
        .into_iter()
        .take(MOST)
        .collect();
    if people.is_empty() {
        return None;
    }
    let height = (150 + 14 * people.len() as i32).clamp(220, 640);
    let (middle, radius) = ((WIDTH as i32 / 2, height / 2), f64::from(height / 2 - 40));
    let place = |number: usize| {
        let angle = number as f64 / people.len() as f64 * TAU;
        (
            middle.0 + (angle.cos() * radius * 1.2) as i32,
            middle.1 + (angle.sin() * radius) as i32,
        )
    };
    draw(height as u32, |area| {
        let number = |name: &String| people.iter().position(|known| *known == name);
        for ((one, other), count) in pairs {
            if let (Some(one), Some(other)) = (number(one), number(other)) {
                let width = (*count).min(6) as u32;
                let line = [place(one), place(other)];
                area.draw(&PathElement::new(line, BLACK.mix(0.4).stroke_width(width)))?;
            }
        }
        for (number, name) in people.iter().enumerate() {
            let (x, y) = place(number);
            area.draw(&Circle::new((x, y), 5, colour("msn").filled()))?;
            let short: String = name.chars().take(28).collect();
            // Names stand outside of the circle.
            let shift = if x < middle.0 {
                -8 - 7 * short.chars().count() as i32
            } else {
                9
            };
            area.draw(&Text::new(short, ((x + shift).max(0), y - 6), text(13)))?;
        }
        Ok(())
    })
}
