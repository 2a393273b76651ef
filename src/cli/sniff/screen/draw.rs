//! Paints the model. Every text was made safe before, and is cut to the column it gets.

use super::app::App;
use super::meter::Part;
use super::page::{Tone, folded};
use super::table::{Cut, GAP, Pane, layout};
use super::text::{self, Looks, width};
use crate::model::Severity;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use std::time::Instant;

/// Smaller than this, nothing can be read.
const LEAST: (u16, u16) = (40, 10);
/// Lines above the table or page: head, tabs. Lines below: what is said, keys.
const ABOVE: u16 = 4;
const BELOW: u16 = 2;
/// `>` for the row that is chosen, `*` for marks.
const MARKS: u16 = 2;

/// A key, what it does, and which goes first when there is no room for all.
type Keys = [(&'static str, &'static str, u8)];

const TABLE_KEYS: &Keys = &[
    ("Enter", "open", 1),
    ("/", "filter", 2),
    ("s/S", "sort", 4),
    ("Space", "mark", 6),
    ("b", "block", 3),
    ("p", "pause", 7),
    ("Tab", "table", 5),
    ("?", "help", 0),
    ("q", "quit", 0),
];
const PAGE_KEYS: &Keys = &[
    ("Up/Down", "scroll", 1),
    ("PgUp/PgDn", "page", 3),
    ("b", "block", 2),
    ("?", "help", 4),
    ("Esc", "back", 0),
];
const READ_KEYS: &Keys = &[
    ("Up/Down", "scroll", 1),
    ("PgUp/PgDn", "page", 2),
    ("Esc", "back", 0),
];
const FILTER_KEYS: &Keys = &[
    ("Enter", "keep", 0),
    ("Ctrl-U", "empty", 2),
    ("Esc", "show all", 0),
];

struct Painter<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    looks: Looks,
}

impl Painter<'_> {
    /// Writes at a place; how many columns it took.
    fn put(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        let room = self.area.width.saturating_sub(x);
        if room == 0 || y >= self.area.height {
            return 0;
        }
        let (x0, y0) = (self.area.x, self.area.y);
        let end = self
            .buffer
            .set_stringn(x0 + x, y0 + y, text, room.into(), style);
        end.0 - x0 - x
    }

    /// A whole line of one style.
    fn line(&mut self, y: u16, text: &str, style: Style) {
        let filled = text::fit(text, self.area.width.into(), false, self.looks);
        self.put(0, y, &filled, style);
    }

    fn coloured(&self, color: Color) -> Style {
        if self.looks.colours {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }

    fn bad(&self, severity: Option<Severity>) -> Style {
        match severity {
            Some(Severity::Critical | Severity::High) => {
                self.coloured(Color::Red).add_modifier(Modifier::BOLD)
            }
            Some(Severity::Medium) => self.coloured(Color::Yellow),
            _ => Style::new(),
        }
    }

    fn alarm(&self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }
}

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Paints everything.
pub fn draw(app: &mut App, buffer: &mut Buffer, now: Instant, clock: &str) {
    let area = buffer.area;
    let looks = app.looks;
    let mut painter = Painter {
        buffer,
        area,
        looks,
    };
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let words = format!(
            "Too small: this is {}x{}, imwarden needs {}x{}. It goes on listening; q ends it.",
            area.width, area.height, LEAST.0, LEAST.1
        );
        for (y, line) in (0..area.height).zip(text::fold(&words, area.width.into())) {
            painter.put(0, y, &line, PLAIN);
        }
        return;
    }
    for (y, (parts, last)) in (0..).zip(
        app.meter
            .lines(now, clock, app.paused)
            .into_iter()
            .zip([true, false, false]),
    ) {
        head_line(&mut painter, y, parts, last);
    }
    let height = area.height - ABOVE - BELOW;
    if app.page().is_some() {
        app.height = height.into();
        page(&mut painter, app, height);
    } else {
        app.height = usize::from(height) - 1;
        tabs(&mut painter, app);
        table(&mut painter, app, height - 1);
    }
    let said = area.height - BELOW;
    let bottom = area.height - 1;
    if app.editing {
        let text = format!("Filter: {}_", app.filter);
        painter.put(0, said, &looks.plain(text), BOLD);
        footer(&mut painter, bottom, FILTER_KEYS);
    } else if let Some(question) = app.question() {
        painter.line(said, question, REVERSED);
        footer(&mut painter, bottom, READ_KEYS);
    } else {
        if let Some(status) = &app.status {
            let text = text::fit(
                &looks.plain(status.clone()),
                area.width.into(),
                false,
                looks,
            );
            painter.put(0, said, text.trim_end(), BOLD);
        }
        let keys = match app.page() {
            Some(page) if page.is_of_flows() => PAGE_KEYS,
            Some(_) => READ_KEYS,
            None => TABLE_KEYS,
        };
        footer(&mut painter, bottom, keys);
    }
}

/// Parts with two blanks between them; those that do not fit go, what is wrong last. `right`: the last one stands to the right.
fn head_line(painter: &mut Painter<'_>, y: u16, mut parts: Vec<Part>, right: bool) {
    const BETWEEN: usize = 2;
    let room = usize::from(painter.area.width);
    let used = |parts: &[Part]| {
        let texts: usize = parts.iter().map(|part| width(&part.text)).sum();
        texts + BETWEEN * parts.len().saturating_sub(1)
    };
    let mut cut = false;
    while used(&parts) > room && parts.len() > 2 {
        let least = parts.iter().rposition(|part| !part.alarm);
        parts.remove(least.filter(|at| *at > 1).unwrap_or(parts.len() - 1));
        cut = true;
    }
    let last = parts.len() - 1;
    let mut x = 0;
    for (at, part) in parts.iter().enumerate() {
        if right && !cut && at == last {
            x = painter.area.width - width(&part.text) as u16;
        }
        let style = match (part.alarm, y, at) {
            (true, ..) => painter.alarm(),
            (false, 0, 0) => BOLD,
            _ => PLAIN,
        };
        let text = painter.looks.plain(part.text.clone());
        x += painter.put(x, y, &text, style) + BETWEEN as u16;
    }
}

fn tabs(painter: &mut Painter<'_>, app: &App) {
    let y = ABOVE - 1;
    let mut x = 0;
    for ((number, pane), count) in (1..).zip(Pane::ALL).zip(app.counts) {
        let text = format!(" {number} {} {count} ", pane.name());
        let style = if pane == app.pane {
            REVERSED.add_modifier(Modifier::BOLD)
        } else {
            PLAIN
        };
        // Who sees no reverse sees brackets.
        let text = if pane == app.pane {
            format!("[{}]", text.trim())
        } else {
            text
        };
        x += painter.put(x, y, &text, style) + 1;
    }
    if !app.filter.is_empty() && !app.editing {
        let shown = app.shown().len();
        let all = app.counts[app.pane as usize];
        let text = painter
            .looks
            .plain(format!("filter: {}  {shown} of {all}", app.filter));
        let room = usize::from(painter.area.width.saturating_sub(x));
        let text = text::fit(&text, room.min(width(&text)), false, painter.looks);
        let from = painter.area.width - width(&text) as u16;
        painter.put(from, y, &text, BOLD);
    }
}

fn table(painter: &mut Painter<'_>, app: &mut App, height: u16) {
    let columns = app.pane.columns();
    let room = painter.area.width - MARKS;
    let rows = usize::from(height);
    let (at, total) = (app.view().at, app.shown().len());
    let view = app.view_mut();
    view.top = view
        .top
        .min(at)
        .max((at + 1).saturating_sub(rows))
        .min(total.saturating_sub(rows));
    let top = view.top;
    let (sorted, descending) = view.sort;
    let shown = app.shown();
    let widths = layout(columns, &shown, sorted, room.into());
    let y = ABOVE;
    painter.line(y, "", REVERSED);
    let mut x = MARKS;
    for (number, wide) in &widths {
        let Some(column) = columns.get(*number) else {
            continue;
        };
        let arrow = if *number == sorted {
            painter.looks.arrow(descending)
        } else {
            ""
        };
        let name = text::fit(
            &format!("{}{arrow}", column.name),
            *wide,
            column.right,
            painter.looks,
        );
        painter.put(x, y, &name, REVERSED);
        x += (wide + GAP) as u16;
    }
    if total == 0 {
        let words = if app.filter.is_empty() {
            "No messenger was seen so far."
        } else {
            "Nothing matches the filter; Esc shows all."
        };
        painter.put(MARKS, y + 2, words, PLAIN);
    }
    for (line, row) in shown.iter().enumerate().skip(top).take(rows) {
        let y = y + 1 + (line - top) as u16;
        let chosen = line == at;
        let mut style = PLAIN;
        if row.over {
            style = style.add_modifier(Modifier::DIM);
        }
        if app.is_marked(row) {
            style = style.add_modifier(Modifier::BOLD);
        }
        if chosen {
            style = REVERSED;
            painter.line(y, "", style);
        }
        let marks = [
            if chosen { ">" } else { " " },
            if app.is_marked(row) { "*" } else { " " },
        ];
        painter.put(0, y, &marks.concat(), style);
        let mut x = MARKS;
        for (number, wide) in &widths {
            let (Some(column), Some((text, _))) = (columns.get(*number), row.cells.get(*number))
            else {
                continue;
            };
            let cell = match column.cut {
                Cut::Items => text::fit_list(text, *wide, painter.looks),
                Cut::Words => text::fit_words(text, *wide, painter.looks),
                Cut::Anywhere => text::fit(text, *wide, column.right, painter.looks),
            };
            let style = match column.name {
                "RISK" if !chosen => style.patch(painter.bad(row.severity)),
                _ => style,
            };
            painter.put(x, y, &cell, style);
            x += (wide + GAP) as u16;
        }
    }
}

fn page(painter: &mut Painter<'_>, app: &mut App, height: u16) {
    let looks = painter.looks;
    let columns = usize::from(painter.area.width);
    let Some(page) = app.page_mut() else {
        return;
    };
    let lines = folded(&page.lines, columns, looks);
    let rows = usize::from(height);
    page.scroll = page.scroll.min(lines.len().saturating_sub(rows));
    let (first, last) = (page.scroll, (page.scroll + rows).min(lines.len()));
    let place = format!("{}-{} of {}", first + 1, last, lines.len());
    let title = looks.plain(page.title.clone());
    let y = ABOVE - 1;
    painter.line(y, &title, REVERSED);
    if lines.len() > rows {
        let x = columns.saturating_sub(width(&place) + 1);
        painter.put(x as u16, y, &format!(" {place}"), REVERSED);
    }
    for (y, (text, tone)) in (ABOVE..).zip(lines.iter().skip(first).take(rows)) {
        let style = match tone {
            Tone::Plain => PLAIN,
            Tone::Heading => BOLD.add_modifier(Modifier::UNDERLINED),
            Tone::Bad(severity) => painter.bad(Some(*severity)),
        };
        painter.put(0, y, text, style);
    }
}

fn footer(painter: &mut Painter<'_>, y: u16, keys: &Keys) {
    let room = usize::from(painter.area.width);
    let mut shown: Vec<_> = keys.to_vec();
    let used = |keys: &Keys| {
        let texts: usize = keys
            .iter()
            .map(|(key, what, _)| key.len() + 1 + what.len())
            .sum();
        texts + keys.len().saturating_sub(1)
    };
    while used(&shown) > room {
        let least = shown.iter().map(|(.., rank)| *rank).max().unwrap_or(0);
        if least == 0 {
            break;
        }
        shown.retain(|(.., rank)| *rank != least);
    }
    // Two blanks between them, where that fits.
    let gap = if used(&shown) + shown.len() <= room + 1 {
        2
    } else {
        1
    };
    let mut x = 0;
    for (key, what, _) in shown {
        x += painter.put(x, y, key, REVERSED);
        x += painter.put(x, y, &format!(" {what}"), PLAIN) + gap;
    }
}
