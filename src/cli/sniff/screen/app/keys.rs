//! What keys do.

use super::{About, App, Doing, Open};
use crate::cli::sniff::screen::block::Proposal;
use crate::cli::sniff::screen::page::{self, Line};
use crate::cli::sniff::screen::store::Flow;
use crate::cli::sniff::screen::table::{Id, Pane};
use crate::model::Finding;
use crate::report::{clean, names, service_title};
use ratatui::termion::event::Key;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// Pages that lie over each other.
const MAX_PAGES: usize = 8;
/// Letters of a filter.
const MAX_FILTER: usize = 60;

impl App {
    /// A key was pressed.
    pub fn key(&mut self, key: Key, now: Instant) -> Doing {
        self.status = None;
        match key {
            Key::Ctrl('c') => return Doing::Quit,
            Key::Ctrl('z') => return Doing::Suspend,
            Key::Ctrl('l') => return Doing::Redraw,
            _ => {}
        }
        if self.editing {
            self.edit(key);
            return Doing::Nothing;
        }
        if !self.pages.is_empty() {
            self.page_key(key, now);
            return Doing::Nothing;
        }
        let at = self.view().at;
        match key {
            Key::Char('q') => return Doing::Quit,
            Key::Char('\t') => self.change(self.pane as usize + 1, now),
            Key::BackTab => self.change(self.pane as usize + 2, now),
            Key::Char(digit @ '1'..='3') => self.change(digit as usize - '1' as usize, now),
            Key::Up | Key::Char('k') => self.go(at.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.go(at + 1),
            Key::PageUp => self.go(at.saturating_sub(self.height)),
            Key::PageDown => self.go(at + self.height),
            Key::Home | Key::Char('g') => self.go(0),
            Key::End | Key::Char('G') => self.go(usize::MAX),
            Key::Char('\n') => self.open(now),
            Key::Char('/') => self.editing = true,
            Key::Esc => {
                self.filter.clear();
                self.order();
            }
            Key::Char('s') => {
                let columns = self.pane.columns().len();
                let (column, _) = self.view().sort;
                let next = (column + 1) % columns;
                let largest = self.pane.columns().get(next).is_some_and(|it| it.right);
                self.sort(next, largest);
            }
            Key::Char('S') => {
                let (column, descending) = self.view().sort;
                self.sort(column, !descending);
            }
            Key::Char(' ') => self.mark(),
            Key::Char('u') => self.view_mut().marks.clear(),
            Key::Char('p') => {
                self.paused = !self.paused;
                self.changed = true;
            }
            Key::Char('b') => self.propose(self.chosen()),
            _ => self.any_key(key, now),
        }
        Doing::Nothing
    }

    /// Keys that do the same everywhere.
    fn any_key(&mut self, key: Key, now: Instant) {
        match key {
            Key::Char('?' | 'h') | Key::F(1) => self.push(About::Help, "Help".to_owned(), now),
            Key::Char('m') => self.push(About::Messages, "Messages".to_owned(), now),
            _ => {}
        }
    }

    fn change(&mut self, pane: usize, now: Instant) {
        self.pane = Pane::ALL[pane % Pane::ALL.len()];
        self.rebuild(now);
    }

    fn sort(&mut self, column: usize, descending: bool) {
        self.view_mut().sort = (column, descending);
        self.order();
    }

    fn mark(&mut self) {
        let Some(id) = self.selected().map(|row| row.id.clone()) else {
            return;
        };
        let view = self.view_mut();
        if !view.marks.remove(&id) {
            view.marks.insert(id);
        }
        self.go(self.view().at + 1);
    }

    fn edit(&mut self, key: Key) {
        match key {
            Key::Char('\n') => self.editing = false,
            Key::Esc => {
                self.editing = false;
                self.filter.clear();
            }
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Ctrl('u') => self.filter.clear(),
            Key::Char(c) if !c.is_control() && self.filter.chars().count() < MAX_FILTER => {
                self.filter.push_str(&clean(c.encode_utf8(&mut [0; 4])));
            }
            _ => {}
        }
        self.order();
    }

    /// The flows that a row is about.
    fn flows_of(&self, id: &Id) -> Vec<u64> {
        let ids = |flow: &Flow| flow.finding.flow_id;
        match id {
            Id::Flow(flow) => vec![*flow],
            Id::User(user) => self.store.flows_of(user).map(ids).collect(),
            Id::Risk(user, risk) => self
                .store
                .flows_of(user)
                .filter(|flow| flow.finding.risks.contains_key(risk))
                .map(ids)
                .collect(),
        }
    }

    /// What is marked, or else the selected row.
    fn chosen(&self) -> Vec<u64> {
        let marks = &self.view().marks;
        let ids: BTreeSet<u64> = if marks.is_empty() {
            let selected = self.selected().map(|row| self.flows_of(&row.id));
            selected.into_iter().flatten().collect()
        } else {
            marks.iter().flat_map(|id| self.flows_of(id)).collect()
        };
        ids.into_iter().collect()
    }

    fn open(&mut self, now: Instant) {
        let Some(id) = self.selected().map(|row| row.id.clone()) else {
            return;
        };
        let (about, title) = match id {
            Id::Flow(flow) => (About::Flow(flow), self.flow_title(flow)),
            Id::User(user) => {
                let title = format!(
                    "{}  {}  {}",
                    user.host,
                    service_title(&user.service),
                    names(&user.accounts)
                );
                (About::User(user), title)
            }
            // Where it was seen last.
            Id::Risk(user, risk) => {
                let users = self.store.users();
                let flow = users.get(&user).and_then(|it| it.risks.get(risk));
                let Some(flow) = flow.map(|exposed| exposed.flow) else {
                    return;
                };
                (About::Flow(flow), self.flow_title(flow))
            }
        };
        self.push(about, title, now);
    }

    fn flow_title(&self, id: u64) -> String {
        let verdict = self.store.get(id).and_then(|flow| flow.finding.verdict());
        verdict.map_or(format!("Flow {id}"), |verdict| {
            format!("Flow {id}  {verdict}")
        })
    }

    fn push(&mut self, about: About, title: String, now: Instant) {
        let lines = self.lines_about(&about, now).unwrap_or_default();
        self.lay(Open {
            about,
            title,
            lines,
            scroll: 0,
        });
    }

    /// Lays a page over the others.
    fn lay(&mut self, page: Open) {
        if self.pages.len() < MAX_PAGES {
            self.pages.push(page);
        }
    }

    /// What a page says by now; `None` where that does not change.
    pub(super) fn lines_about(&self, about: &About, now: Instant) -> Option<Vec<Line>> {
        match about {
            About::Flow(id) => Some(match self.store.get(*id) {
                Some(flow) => page::flow(flow, &self.risks, now),
                None => page::gone(&self.store),
            }),
            About::User(key) => Some(match self.store.users().get(key) {
                Some(user) => {
                    let flows: Vec<&Flow> = self.store.flows_of(key).collect();
                    page::user(key, user, &flows, &self.risks, now)
                }
                None => page::gone(&self.store),
            }),
            About::Help => Some(page::help()),
            About::Messages => {
                let messages = self.messages.iter();
                let lines: Vec<Line> = messages.map(|it| Line::new("- ", it)).collect();
                Some(if lines.is_empty() {
                    vec![Line::new("", "none")]
                } else {
                    lines
                })
            }
            About::Block { .. } => None,
        }
    }

    fn page_key(&mut self, key: Key, now: Instant) {
        let step = self.height.saturating_sub(1).max(1);
        let Some(page) = self.pages.last_mut() else {
            return;
        };
        match key {
            Key::Up | Key::Char('k') => page.scroll = page.scroll.saturating_sub(1),
            Key::Down | Key::Char('j' | '\n') => page.scroll += 1,
            Key::PageUp => page.scroll = page.scroll.saturating_sub(step),
            Key::PageDown | Key::Char(' ') => page.scroll += step,
            Key::Home | Key::Char('g') => page.scroll = 0,
            // Drawing knows where the end is.
            Key::End | Key::Char('G') => page.scroll = usize::MAX / 2,
            Key::Esc | Key::Char('q' | 'n') | Key::Backspace => {
                self.pages.pop();
            }
            Key::Char('y') => self.confirmed(),
            Key::Char('b') => match &page.about {
                About::Flow(flow) => {
                    let flow = *flow;
                    self.propose(vec![flow]);
                }
                About::User(user) => {
                    let id = Id::User(Arc::clone(user));
                    self.propose(self.flows_of(&id));
                }
                About::Help | About::Messages | About::Block { .. } => {}
            },
            _ => self.any_key(key, now),
        }
    }

    fn findings(&self, flows: &[u64]) -> Vec<&Finding> {
        let known = flows.iter().filter_map(|id| self.store.get(*id));
        known.map(|flow| &flow.finding).collect()
    }

    /// Asks whether these are to be blocked.
    fn propose(&mut self, flows: Vec<u64>) {
        if flows.is_empty() {
            self.status = Some(
                "nothing to block: no row is chosen, or its flows are not kept any more".to_owned(),
            );
            return;
        }
        match self.planner.propose(&self.findings(&flows)) {
            Ok(proposal) => {
                let title = format!("Block {}", flows_of(flows.len()));
                self.lay(Open {
                    lines: block_lines(&proposal, self.blocker.is_some()),
                    about: About::Block {
                        flows,
                        can: proposal.rules.is_some(),
                    },
                    title,
                    scroll: 0,
                });
            }
            Err(error) => {
                self.status = Some(clean(&error.replace('\n', "; ")).into_owned());
            }
        }
    }

    fn confirmed(&mut self) {
        let Some(About::Block { flows, can: true }) = self.pages.last().map(|page| &page.about)
        else {
            return;
        };
        let flows = flows.clone();
        let findings: Vec<Finding> = self.findings(&flows).into_iter().cloned().collect();
        self.pages.pop();
        let said = if let Some(block) = &mut self.blocker {
            let asked = findings.iter().filter(|finding| block(finding)).count();
            match findings.len() - asked {
                0 => format!(
                    "asked to block {}; what comes of it is said here",
                    flows_of(asked)
                ),
                more => format!(
                    "too much at a time: {} not asked for, {asked} are",
                    flows_of(more)
                ),
            }
        } else {
            let all = self.planner.keep(&findings.iter().collect::<Vec<_>>());
            format!(
                "the rules for {} are printed when the screen is closed (q)",
                flows_of(all)
            )
        };
        self.say(&said);
        self.views[self.pane as usize].marks.clear();
    }
}

fn flows_of(count: usize) -> String {
    format!("{count} flow{}", if count == 1 { "" } else { "s" })
}

fn block_lines(proposal: &Proposal, enforcing: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    if !proposal.without.is_empty() {
        lines.push(Line::heading("No rule"));
        let without = proposal.without.iter();
        lines.extend(without.map(|why| Line::new("  ", clean(why))));
    }
    let Some(rules) = &proposal.rules else {
        lines.push(Line::new(
            "",
            "There is nothing that could be closed without closing it for others.",
        ));
        return lines;
    };
    let how = if enforcing {
        "y has these connections cut and their servers refused at once, for a while; the same for good, as a file for nft -f:"
    } else {
        "imwarden was started without --enforce and changes no firewall. y prints this when the screen is closed; \
         save it and load it with nft -f:"
    };
    lines.push(Line::heading("Closes"));
    lines.extend(
        proposal
            .endpoints
            .iter()
            .map(|it| Line::new("  ", clean(it))),
    );
    lines.push(Line::heading("How"));
    lines.push(Line::new("  ", how));
    // The file's head tells at length what is above.
    let code = rules.lines().skip_while(|line| line.starts_with('#'));
    lines.extend(code.map(|line| {
        let text = line.trim_start_matches('\t');
        let depth = line.len() - text.len();
        Line::new("  ".repeat(depth + 1), clean(text))
    }));
    lines
}
