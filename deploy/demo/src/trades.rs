//! What contractors can do, and the jobs that each skill is asked for.

use rand::RngExt;
use rand::seq::IndexedRandom;

/// A trade: skills that go together in one person.
#[derive(Debug)]
pub struct Trade {
    /// Skills that everybody of the trade has.
    pub core: &'static [&'static str],
    /// Skills that some have too.
    pub extra: &'static [&'static str],
}

/// The trades of the roster.
pub const TRADES: [Trade; 12] = [
    Trade {
        core: &["boiler", "gas"],
        extra: &["heat-pump", "plumbing"],
    },
    Trade {
        core: &["plumbing"],
        extra: &["bathroom", "drainage", "gas"],
    },
    Trade {
        core: &["electrical"],
        extra: &["ev-charging", "fire-alarm", "lighting"],
    },
    Trade {
        core: &["hvac"],
        extra: &["electrical", "heat-pump", "refrigeration"],
    },
    Trade {
        core: &["electrical", "solar"],
        extra: &["battery-storage", "roofing"],
    },
    Trade {
        core: &["appliance"],
        extra: &["electrical", "refrigeration"],
    },
    Trade {
        core: &["locksmith"],
        extra: &["carpentry", "glazing"],
    },
    Trade {
        core: &["roofing"],
        extra: &["guttering", "solar"],
    },
    Trade {
        core: &["network"],
        extra: &["electrical", "fire-alarm", "security-camera"],
    },
    Trade {
        core: &["carpentry"],
        extra: &["glazing", "painting"],
    },
    Trade {
        core: &["drainage", "plumbing"],
        extra: &["bathroom"],
    },
    Trade {
        core: &["lift"],
        extra: &["electrical"],
    },
];

/// A kind of job with the shortest and the longest time that it takes, in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// The skill that it needs.
    pub skill: &'static str,
    /// What is to be done.
    pub title: &'static str,
    /// The least time it takes.
    pub shortest: i64,
    /// The most time it takes.
    pub longest: i64,
}

const fn task(skill: &'static str, title: &'static str, shortest: i64, longest: i64) -> Task {
    Task {
        skill,
        title,
        shortest,
        longest,
    }
}

/// The kinds of jobs, 30 minutes to 8 hours.
pub const TASKS: [Task; 48] = [
    task("appliance", "Dishwasher repair", 45, 120),
    task("appliance", "Oven element replacement", 30, 90),
    task("appliance", "Washing machine repair", 45, 120),
    task("bathroom", "Bathroom refit", 360, 480),
    task("bathroom", "Shower replacement", 120, 300),
    task("battery-storage", "Battery commissioning", 120, 240),
    task("boiler", "Boiler breakdown", 60, 180),
    task("boiler", "Boiler replacement", 300, 480),
    task("boiler", "Boiler service", 60, 120),
    task("carpentry", "Door hanging", 60, 180),
    task("carpentry", "Fitted wardrobe", 240, 480),
    task("drainage", "Blocked drain", 45, 150),
    task("drainage", "Drain camera survey", 60, 120),
    task("electrical", "Consumer unit replacement", 240, 420),
    task("electrical", "Fault finding", 60, 180),
    task("electrical", "Periodic inspection", 120, 300),
    task("electrical", "Socket installation", 45, 120),
    task("ev-charging", "Charge point installation", 180, 360),
    task("fire-alarm", "Fire alarm test", 45, 120),
    task("gas", "Gas leak", 60, 180),
    task("gas", "Gas safety check", 30, 75),
    task("gas", "Hob installation", 60, 120),
    task("glazing", "Window pane replacement", 60, 180),
    task("guttering", "Gutter clearance", 60, 180),
    task("heat-pump", "Heat pump installation", 360, 480),
    task("heat-pump", "Heat pump service", 90, 150),
    task("hvac", "Air conditioning installation", 240, 480),
    task("hvac", "Air conditioning service", 60, 150),
    task("hvac", "Ventilation balancing", 120, 240),
    task("lift", "Lift inspection", 90, 240),
    task("lift", "Lift out of order", 60, 300),
    task("lighting", "Garden lighting", 120, 300),
    task("locksmith", "Lock replacement", 30, 90),
    task("locksmith", "Locked out", 30, 60),
    task("network", "Cabinet installation", 180, 420),
    task("network", "Fibre connection", 60, 180),
    task("network", "Wireless survey", 90, 240),
    task("painting", "Stairwell painting", 300, 480),
    task("plumbing", "Burst pipe", 60, 240),
    task("plumbing", "Leaking tap", 30, 75),
    task("plumbing", "Toilet repair", 45, 120),
    task("refrigeration", "Cold room repair", 90, 300),
    task("refrigeration", "Fridge repair", 45, 120),
    task("roofing", "Roof inspection", 60, 120),
    task("roofing", "Tile replacement", 120, 360),
    task("security-camera", "Camera installation", 120, 300),
    task("solar", "Inverter replacement", 90, 180),
    task("solar", "Panel installation", 360, 480),
];

/// A job that somebody with `skills` could be sent to: its title with a street, and its length in
/// minutes, a multiple of 15 that is at most `room`. None when nothing fits.
pub fn draw_job(
    rng: &mut impl RngExt,
    skills: &[String],
    streets: &[&str],
    room: i64,
) -> Option<(String, i64)> {
    let fitting: Vec<&Task> = TASKS
        .iter()
        .filter(|task| task.shortest <= room && skills.iter().any(|skill| skill == task.skill))
        .collect();
    let task = fitting.choose(rng)?;
    let longest = task.longest.min(room);
    let minutes = rng.random_range(task.shortest / 15..=longest / 15) * 15;
    let street = streets.choose(rng)?;
    let number = rng.random_range(1..180);
    Some((format!("{}, {street} {number}", task.title), minutes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn every_skill_of_every_trade_is_a_slug_and_has_jobs() {
        for skill in TRADES
            .iter()
            .flat_map(|trade| trade.core.iter().chain(trade.extra))
        {
            assert!(
                skill.bytes().all(|b| b == b'-' || b.is_ascii_lowercase()),
                "{skill}"
            );
            assert!(TASKS.iter().any(|task| task.skill == *skill), "{skill}");
        }
        for task in TASKS {
            assert!(
                30 <= task.shortest && task.shortest < task.longest,
                "{task:?}"
            );
            assert!(task.longest <= 480 && task.shortest % 15 == 0, "{task:?}");
        }
    }

    #[test]
    fn a_drawn_job_fits_the_room_and_none_is_drawn_where_none_fits() {
        let mut rng = StdRng::seed_from_u64(1);
        let skills = ["gas".to_owned()];
        for room in 30..500 {
            let (title, minutes) = draw_job(&mut rng, &skills, &["High Road"], room).unwrap();
            assert!(
                (30..=room).contains(&minutes) && minutes % 15 == 0,
                "{title} {minutes}"
            );
        }
        assert_eq!(draw_job(&mut rng, &skills, &["High Road"], 29), None);
        assert_eq!(draw_job(&mut rng, &[], &["High Road"], 480), None);
    }
}
