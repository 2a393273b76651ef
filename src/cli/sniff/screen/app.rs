//! What the screen is about, without a terminal: records and keys go in, and [`super::draw`] paints what it has become.

mod keys;

use super::block::{Blocker, Planner};
use super::meter::Meter;
use super::page::Line;
use super::store::{Store, UserKey};
use super::table::{self, Id, Pane, Row};
use super::text::Looks;
use crate::cli::sniff::record::Record;
use crate::model::Risk;
use crate::report::clean;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Messages that are kept.
const MAX_MESSAGES: usize = 100;
/// Rates fall when nothing comes: rows that are as old as this are made anew.
const OLD: Duration = Duration::from_secs(1);

/// What is to be done that a model cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Nothing,
    Quit,
    Suspend,
    /// The terminal may show something else by now.
    Redraw,
}

/// Where somebody is in a table.
pub struct View {
    /// Column and whether the largest come first.
    pub sort: (usize, bool),
    selected: Option<Id>,
    /// Where that row is, or was.
    pub at: usize,
    /// First row that is shown.
    pub top: usize,
    marks: BTreeSet<Id>,
}

/// A page over the tables.
pub struct Open {
    about: About,
    pub title: String,
    pub lines: Vec<Line>,
    pub scroll: usize,
}

impl Open {
    /// Whether there is something on it that could be blocked.
    pub const fn is_of_flows(&self) -> bool {
        matches!(self.about, About::Flow(_) | About::User(_))
    }
}

/// What a page is about.
enum About {
    Flow(u64),
    User(Arc<UserKey>),
    Help,
    Messages,
    Block { flows: Vec<u64>, can: bool },
}

/// All of it.
pub struct App {
    pub store: Store,
    pub meter: Meter,
    pub looks: Looks,
    risks: Vec<Risk>,
    planner: Planner,
    /// Blocks at once, where somebody can.
    pub blocker: Option<Blocker>,
    pub pane: Pane,
    views: [View; 3],
    /// The table's rows, and those that are shown of them, in order.
    rows: Vec<Row>,
    shown: Vec<usize>,
    /// How many rows each table has.
    pub counts: [usize; 3],
    pub filter: String,
    pub editing: bool,
    pub paused: bool,
    pages: Vec<Open>,
    pub status: Option<String>,
    messages: VecDeque<String>,
    /// Rows that fit: how far a page goes.
    pub height: usize,
    /// Something is another than what was drawn.
    changed: bool,
    /// When rows were made.
    built: Instant,
}

impl App {
    pub fn new(meter: Meter, looks: Looks, risks: Vec<Risk>, planner: Planner) -> Self {
        Self {
            store: Store::new(),
            meter,
            looks,
            risks,
            planner,
            blocker: None,
            pane: Pane::Users,
            views: Pane::ALL.map(|pane| View {
                sort: pane.sorting(),
                selected: None,
                at: 0,
                top: 0,
                marks: BTreeSet::new(),
            }),
            rows: Vec::new(),
            shown: Vec::new(),
            counts: [0; 3],
            filter: String::new(),
            editing: false,
            paused: false,
            pages: Vec::new(),
            status: None,
            messages: VecDeque::new(),
            height: 1,
            changed: true,
            built: Instant::now(),
        }
    }

    /// A record came.
    pub fn take(&mut self, record: Record, now: Instant) {
        self.changed |= self.store.take(record, now);
    }

    /// Somebody has something to say that would have gone to stderr.
    pub fn say(&mut self, message: &str) {
        let message = clean(message).into_owned();
        self.status = Some(message.clone());
        self.messages.push_back(message);
        if self.messages.len() > MAX_MESSAGES {
            self.messages.pop_front();
        }
    }

    /// The messages, for whoever comes after the screen.
    pub fn into_messages(self) -> Vec<String> {
        self.messages.into()
    }

    /// The rules that were asked for.
    pub fn kept_rules(&mut self) -> Option<String> {
        self.planner.kept()
    }

    pub fn view(&self) -> &View {
        &self.views[self.pane as usize]
    }

    pub fn view_mut(&mut self) -> &mut View {
        &mut self.views[self.pane as usize]
    }

    /// The rows to show, in order.
    pub fn shown(&self) -> Vec<&Row> {
        self.shown
            .iter()
            .filter_map(|at| self.rows.get(*at))
            .collect()
    }

    pub fn is_marked(&self, row: &Row) -> bool {
        self.view().marks.contains(&row.id)
    }

    /// The page that lies on top.
    pub fn page(&self) -> Option<&Open> {
        self.pages.last()
    }

    pub fn page_mut(&mut self) -> Option<&mut Open> {
        self.pages.last_mut()
    }

    /// What is asked on the page, if it asks.
    pub fn question(&self) -> Option<&'static str> {
        match self.pages.last().map(|page| &page.about) {
            Some(About::Block { can: true, .. }) if self.blocker.is_some() => {
                Some("Block this now?  y yes   n no")
            }
            Some(About::Block { can: true, .. }) => {
                Some("Nothing is changed without --enforce.  y print the rules at the end   n no")
            }
            _ => None,
        }
    }

    /// Makes rows and pages anew, if anything came and nobody wants them to stand still; whether they were.
    pub fn refresh(&mut self, now: Instant) -> bool {
        let old = now.saturating_duration_since(self.built) >= OLD;
        if self.paused || !self.changed && !old {
            return false;
        }
        self.changed = false;
        self.rebuild(now);
        true
    }

    fn rebuild(&mut self, now: Instant) {
        self.built = now;
        self.counts = Pane::ALL.map(|pane| match pane {
            Pane::Users => self.store.users().len(),
            Pane::Flows => self.store.flows().count(),
            Pane::Risks => self
                .store
                .users()
                .values()
                .map(|user| user.risks.len())
                .sum(),
        });
        self.rows = table::rows(self.pane, &self.store, &self.risks, now);
        let looks = self.looks;
        for (text, _) in self.rows.iter_mut().flat_map(|row| &mut row.cells) {
            *text = looks.plain(std::mem::take(text));
        }
        let ids: BTreeSet<&Id> = self.rows.iter().map(|row| &row.id).collect();
        let view = &mut self.views[self.pane as usize];
        view.marks.retain(|id| ids.contains(id));
        self.order();
        let mut pages = std::mem::take(&mut self.pages);
        for page in &mut pages {
            if let Some(lines) = self.lines_about(&page.about, now) {
                page.lines = lines;
            }
        }
        self.pages = pages;
    }

    /// Filters and sorts what is there.
    fn order(&mut self) {
        let (column, descending) = self.view().sort;
        let mut shown: Vec<usize> = (0..self.rows.len())
            .filter(|at| {
                self.rows
                    .get(*at)
                    .is_some_and(|row| row.matches(&self.filter))
            })
            .collect();
        let key = |at: &usize| {
            let (_, key) = self.rows.get(*at)?.cells.get(column)?;
            Some(key)
        };
        let id = |at: &usize| self.rows.get(*at).map(|row| &row.id);
        shown.sort_by(|a, b| {
            let order = key(a).cmp(&key(b));
            let order = if descending { order.reverse() } else { order };
            order.then_with(|| id(a).cmp(&id(b)))
        });
        self.shown = shown;
        self.find_selected();
    }

    fn find_selected(&mut self) {
        let selected = self.view().selected.clone();
        let at = selected.and_then(|id| self.shown().iter().position(|row| row.id == id));
        let last = self.shown.len().saturating_sub(1);
        let view = self.view_mut();
        view.at = at.unwrap_or(view.at).min(last);
    }

    fn selected(&self) -> Option<&Row> {
        self.shown
            .get(self.view().at)
            .and_then(|at| self.rows.get(*at))
    }

    fn go(&mut self, to: usize) {
        let last = self.shown.len().saturating_sub(1);
        self.view_mut().at = to.min(last);
        let id = self.selected().map(|row| row.id.clone());
        // Whoever stands at the top wants to see what comes there.
        self.view_mut().selected = id.filter(|_| to > 0);
    }
}
