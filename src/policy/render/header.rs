//! The comment at the head of every file: what it does, how to handle it, and what it cannot do.

use super::text::{Text, and, place};
use crate::policy::hello;
use crate::policy::{
    Action, Can, Hook, Plan, Profile, Target, User, Who, capabilities, closes_nothing,
};
use std::fmt::Write as _;

/// How a file of one kind is checked, loaded and removed: `(verb, command)`.
pub(super) type Commands<'a> = &'a [(&'a str, &'a str)];

/// Writes all of it, as `#` comments.
pub(super) fn write(text: &mut Text, plan: &Plan, target: Target, commands: Commands<'_>) {
    about(text, plan, target.searches(), commands);
    text.line("#");
    text.paragraph("# ", "# ", &conduct(plan, target));
    own(text, plan);
    warnings(text, plan, target);
    limits(text, plan);
    left_out(text, plan);
    unseen(text, plan);
    sni(text, plan, target);
    hosts(text, plan);
}

/// Without what only a packet filter of our own writing does.
pub(super) fn plain(text: &mut Text, plan: &Plan, commands: Commands<'_>) {
    about(text, plan, false, commands);
    own(text, plan);
    limits(text, plan);
    left_out(text, plan);
    unseen(text, plan);
}

fn about(text: &mut Text, plan: &Plan, searches: bool, commands: Commands<'_>) {
    let names: Vec<_> = plan
        .messengers
        .iter()
        .map(|(_, name)| name.as_str())
        .collect();
    let what = match plan.profile {
        Profile::Document => "the ports of the default table (profile document)",
        Profile::Full => "every known port, whoever states it (profile full),",
        Profile::None => "",
    };
    let places = |named: bool| {
        let all = plan.seen.iter().flat_map(|group| &group.seen);
        all.filter(|seen| (seen.flows == 0) == named).count()
    };
    let mut what = vec![what.to_owned()];
    if plan.groups.is_empty() {
        what.clear();
    }
    match places(false) {
        0 => {}
        1 => what.push("the one place that they were seen at".to_owned()),
        many => what.push(format!("the {many} places that they were seen at")),
    }
    match places(true) {
        0 => {}
        1 => what.push("the one place that they named".to_owned()),
        many => what.push(format!("the {many} places that they named")),
    }
    if !plan.signatures.is_empty() {
        what.push("what opens as a messenger does, on any port,".to_owned());
    }
    if searches && !plan.sni.is_empty() {
        what.push("TLS to servers that are asked for by name (SNI), on any port,".to_owned());
    }
    if !plan.names.is_empty() {
        what.push("the addresses of host names, as a resolver tells them,".to_owned());
    }
    match plan.custom.len() {
        0 => {}
        1 => what.push("what a rule of this site names".to_owned()),
        many => what.push(format!("what {many} rules of this site name")),
    }
    if what.is_empty() {
        what.push("nothing".to_owned());
    }
    let what: Vec<&str> = what.iter().map(String::as_str).collect();
    text.paragraph(
        "# ",
        "# ",
        &format!(
            "imwarden policy: closes {} for {}.",
            and(&what),
            and(&names)
        ),
    );
    if !plan.chosen.is_empty() {
        text.paragraph(
            "# ",
            "# ",
            &format!("Asked for: {} only.", plan.chosen.join(", ")),
        );
    }
    text.line("#");
    for (verb, command) in commands {
        text.line(format!("#   {verb:<8} {command}"));
    }
}

/// What a policy file says besides: why some are left alone, what is over, what is to be known.
fn own(text: &mut Text, plan: &Plan) {
    let mut lines = Vec::new();
    for exception in &plan.reasons {
        let until = exception
            .until
            .map(|until| format!(" until {until}"))
            .unwrap_or_default();
        let again = match exception.who {
            Who::Name { .. } => "; when its addresses change, write this file again",
            Who::User(_) if !plan.hooks.contains(&Hook::Output) => {
                "; WITHOUT EFFECT: nothing that this machine opens is judged here (output)"
            }
            Who::User(_) if plan.hooks.contains(&Hook::Forward) => {
                "; what passes through this machine has no user here"
            }
            _ => "",
        };
        lines.push(format!(
            "{} is left alone{until}: {}{again}",
            exception.who, exception.why
        ));
    }
    for rule in &plan.custom {
        let until = rule
            .until
            .map(|until| format!(" until {until}"))
            .unwrap_or_default();
        lines.push(format!(
            "{} ({}){until}: {}",
            rule.id,
            rule.words(),
            rule.reason
        ));
    }
    lines.extend(plan.expired.iter().map(|it| format!("LEFT OUT: {it}")));
    lines.extend(plan.shadowed.iter().map(ToString::to_string));
    lines.extend(plan.notes.iter().cloned());
    lines.extend(plan.touched_words());
    if lines.is_empty() {
        return;
    }
    text.line("#");
    text.line("# To be known of this policy:");
    for line in lines {
        text.paragraph("#   - ", "#     ", &line);
    }
}

fn conduct(plan: &Plan, target: Target) -> String {
    let places: Vec<_> = plan
        .hooks
        .iter()
        .map(|hook| match hook {
            Hook::Forward => "that pass through this machine either way (forward)",
            Hook::Output => "that this machine opens itself (output)",
            Hook::Input => "that others open to this machine (input)",
        })
        .collect();
    let action = match plan.action {
        Action::Reject => {
            "refused: TCP with a reset, UDP with \"port unreachable\", so that clients give up at once"
        }
        Action::Drop => "dropped without a word; clients will try on for a while",
        Action::Log => {
            "counted and logged, five a second at most, and NOT REFUSED: this file only looks"
        }
    };
    let nets = |nets: &[ipnet::IpNet]| {
        let words: Vec<String> = nets.iter().map(|net| place(*net)).collect();
        words.join(", ")
    };
    // Writing to a String cannot fail.
    let mut scope = String::new();
    if !plan.sources.is_empty() {
        let _ = write!(
            scope,
            " Only clients in {} are judged.",
            nets(&plan.sources)
        );
    }
    if !plan.exceptions.is_empty() {
        let _ = write!(
            scope,
            " Left alone, at either end: {}.",
            nets(&plan.exceptions)
        );
    }
    if !plan.users.is_empty() && plan.hooks.contains(&Hook::Output) {
        let users: Vec<&str> = plan.users.iter().map(User::name).collect();
        let _ = write!(
            scope,
            " What these users of this machine open is left alone: {}.",
            users.join(", ")
        );
    }
    if !plan.interfaces.is_any() {
        let _ = write!(
            scope,
            " Only connections that come and go by {} are judged, as far as there is such a side.",
            plan.interfaces
        );
    }
    if let Some(group) = plan.log {
        let _ = write!(
            scope,
            " Five a second at most are told to NFLOG group {group}."
        );
    }
    if plan.marks_in(target) {
        let _ = write!(
            scope,
            " A connection that opens as a messenger's does, on any port, is marked {} and ends there.",
            plan.mark
        );
    }
    format!(
        "Connections {} are judged by the port that they are opened to, and {action}. A session that is \
         open already ends with the next packet of the side that opened it; on a machine that tracked no connections until now, one whose \
         server speaks first goes on. Loopback is left alone, and nothing here opens what other rules close.{scope}",
        and(&places)
    )
}

fn warnings(text: &mut Text, plan: &Plan, target: Target) {
    if plan.is_empty() || target != Target::Ipset && closes_nothing(plan, target) {
        text.line("#");
        text.line("# THIS FILE CLOSES NOTHING. The lines below say why.");
    }
    if !plan.idle.is_empty() {
        let hint = match plan.profile {
            Profile::Document => {
                "the default table has no port of it that can be closed; --profile full knows more"
            }
            Profile::Full => "no known port of it can be closed",
            Profile::None => "it was not seen",
        };
        text.line("#");
        text.paragraph(
            "# ",
            "# ",
            &format!("NO RULE for {}: {hint}.", plan.idle.join(", ")),
        );
    }
}

fn limits(text: &mut Text, plan: &Plan) {
    text.line("#");
    text.line("# What these rules cannot stop:");
    for limit in &plan.limits {
        text.paragraph("#   - ", "#     ", limit);
    }
    let mut judged = plan.seen.iter().flat_map(|group| &group.seen);
    if !plan.signatures.is_empty() {
        text.paragraph(
            "#   - ",
            "#     ",
            "On other ports: an opening that is cut into several segments, that stands behind something else, or that is encrypted.",
        );
    }
    if judged.any(|seen| seen.opening.is_some()) {
        text.paragraph(
            "#   - ",
            "#     ",
            "Where others use the same place: a request that is cut into several segments, since each is judged by itself.",
        );
    }
    let mut places = plan.seen.iter().flat_map(|group| &group.seen);
    if places.any(|seen| seen.flows == 0) {
        text.paragraph(
            "#   - ",
            "#     ",
            "Somebody who names a place that is not his: where nobody was seen to go, a rule says what was said (named in flow ...).",
        );
    }
    text.paragraph(
        "#   - ",
        "#     ",
        "Any messenger inside a tunnel, a VPN, a proxy or a web page.",
    );
}

fn left_out(text: &mut Text, plan: &Plan) {
    if plan.left_out.is_empty() {
        return;
    }
    text.line("#");
    text.line("# Not blocked because more than a messenger would go with it:");
    for port in &plan.left_out {
        let words = format!(
            "{}: {} {} ({}) is {}",
            port.id,
            port.transport.name(),
            port.range,
            port.source,
            port.reason
        );
        text.paragraph("#   - ", "#     ", &words);
    }
}

fn unseen(text: &mut Text, plan: &Plan) {
    if plan.unseen.is_empty() {
        return;
    }
    text.line("#");
    text.line("# Seen or named, and not blocked:");
    for flow in &plan.unseen {
        // Names of files: no line of them may end the comment.
        let place: String = flow.place.chars().filter(|c| !c.is_control()).collect();
        let words = format!(
            "{} at {} ({place}): {}",
            flow.service, flow.server, flow.reason
        );
        text.paragraph("#   - ", "#     ", &words);
    }
}

/// The names in hellos, and how well this file knows them.
fn sni(text: &mut Text, plan: &Plan, target: Target) {
    if plan.sni.is_empty() || target == Target::Ipset {
        return;
    }
    text.line("#");
    text.line(
        "# Names that are refused in TLS hellos (SNI), and what this file can do about each:",
    );
    let all = capabilities(plan, target);
    for group in &plan.sni {
        let mut told: Vec<(Can, Vec<&str>)> = Vec::new();
        for host in &group.names {
            let what = hello::what(group, host);
            let Some(it) = all.iter().find(|it| it.what == what) else {
                continue;
            };
            match told.iter_mut().find(|(can, _)| *can == it.can) {
                Some((_, names)) => names.push(&host.name),
                None => told.push((it.can, vec![&host.name])),
            }
        }
        for (can, names) in told {
            let can = match can {
                Can::Exact => "exactly".to_owned(),
                Can::Weaker(why) => format!("weaker, {why}"),
                Can::Impossible(why) => format!("not here, {why}"),
            };
            let words = format!("{}, {}: {can}", group.id, names.join(", "));
            text.paragraph("#   - ", "#     ", &words);
        }
        if let (true, Some(note)) = (
            group.custom,
            group.names.first().and_then(|it| it.note.as_ref()),
        ) {
            text.paragraph("#     ", "#     ", &format!("({note})"));
        }
    }
}

fn hosts(text: &mut Text, plan: &Plan) {
    if plan.hosts.is_empty() {
        return;
    }
    text.line("#");
    text.paragraph(
        "# ",
        "# ",
        "Hosts to deny as well. A packet filter knows addresses, not names: these need a resolver \
         or a proxy that refuses them (*. stands for the name itself and all names below it).",
    );
    let width = plan
        .hosts
        .iter()
        .map(|host| host.name.len())
        .max()
        .unwrap_or(0);
    for host in &plan.hosts {
        let note = host
            .note
            .as_deref()
            .map(|note| format!(": {note}"))
            .unwrap_or_default();
        let first = format!("#   {:<width$}  ", host.name);
        let rest = format!("#   {:<width$}  ", "");
        text.paragraph(
            &first,
            &rest,
            &format!("{} ({}){note}", host.service, host.source),
        );
    }
}
