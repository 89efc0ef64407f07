//! The eight cities of the roster: six continents, daylight saving of both hemispheres and none,
//! and an offset of half an hour.

use shared_events::zones::Zone;

use crate::names::Names;

/// A city in which contractors work.
#[derive(Debug)]
pub struct City {
    /// What people call it.
    pub name: &'static str,
    /// The name of its time zone.
    pub time_zone: &'static str,
    /// Its place in the table of holidays.
    pub place: &'static str,
    /// The territories into which it is divided.
    pub territories: &'static [&'static str],
    /// Whether Saturday is a usual working day there.
    pub six_day_week: bool,
    /// Names that people have there.
    pub names: Names,
    /// Streets in which jobs are.
    pub streets: &'static [&'static str],
}

impl City {
    /// Its time zone.
    ///
    /// # Panics
    ///
    /// If it is not in the IANA database; each seed of the tests goes through all cities.
    #[must_use]
    pub fn zone(&self) -> Zone {
        Zone::named(self.time_zone).expect("the cities' time zones are known")
    }
}

/// All cities. A contractor's city follows from its number, so the order is part of what a seed means.
pub const CITIES: [City; 8] = [
    City {
        name: "London",
        time_zone: "Europe/London",
        place: "GB-ENG",
        territories: &["london-north", "london-south", "london-east"],
        six_day_week: false,
        names: crate::names::LONDON,
        streets: &[
            "Holloway Road",
            "Brixton Hill",
            "Mile End Road",
            "Lordship Lane",
            "Essex Road",
        ],
    },
    City {
        name: "Berlin",
        time_zone: "Europe/Berlin",
        place: "DE-BE",
        territories: &["berlin-mitte", "berlin-ost", "berlin-west"],
        six_day_week: false,
        names: crate::names::BERLIN,
        streets: &[
            "Torstraße",
            "Kantstraße",
            "Sonnenallee",
            "Schönhauser Allee",
            "Frankfurter Allee",
        ],
    },
    City {
        name: "New York",
        time_zone: "America/New_York",
        place: "US-NY",
        territories: &["new-york-brooklyn", "new-york-manhattan", "new-york-queens"],
        six_day_week: false,
        names: crate::names::NEW_YORK,
        streets: &[
            "Atlantic Avenue",
            "Flatbush Avenue",
            "Amsterdam Avenue",
            "Queens Boulevard",
            "Bleecker Street",
        ],
    },
    City {
        name: "São Paulo",
        time_zone: "America/Sao_Paulo",
        place: "BR-SP",
        territories: &[
            "sao-paulo-centro",
            "sao-paulo-zona-leste",
            "sao-paulo-zona-sul",
        ],
        six_day_week: false,
        names: crate::names::SAO_PAULO,
        streets: &[
            "Rua Augusta",
            "Avenida Paulista",
            "Rua da Mooca",
            "Rua Vergueiro",
            "Avenida Santo Amaro",
        ],
    },
    City {
        name: "Nairobi",
        time_zone: "Africa/Nairobi",
        place: "KE",
        territories: &["nairobi-east", "nairobi-west"],
        six_day_week: true,
        names: crate::names::NAIROBI,
        streets: &[
            "Ngong Road",
            "Moi Avenue",
            "Jogoo Road",
            "Kiambu Road",
            "Argwings Kodhek Road",
        ],
    },
    City {
        name: "Mumbai",
        time_zone: "Asia/Kolkata",
        place: "IN-MH",
        territories: &["mumbai-city", "mumbai-suburbs", "navi-mumbai"],
        six_day_week: true,
        names: crate::names::MUMBAI,
        streets: &[
            "Linking Road",
            "Hill Road",
            "Lady Jamshedji Road",
            "Palm Beach Road",
            "Senapati Bapat Marg",
        ],
    },
    City {
        name: "Tokyo",
        time_zone: "Asia/Tokyo",
        place: "JP",
        territories: &["tokyo-east", "tokyo-west"],
        six_day_week: false,
        names: crate::names::TOKYO,
        streets: &[
            "Aoyama-dori",
            "Meiji-dori",
            "Yasukuni-dori",
            "Kasuga-dori",
            "Inokashira-dori",
        ],
    },
    City {
        name: "Auckland",
        time_zone: "Pacific/Auckland",
        place: "NZ-AUK",
        territories: &["auckland-central", "auckland-north-shore", "auckland-south"],
        six_day_week: false,
        names: crate::names::AUCKLAND,
        streets: &[
            "Karangahape Road",
            "Dominion Road",
            "Great South Road",
            "Lake Road",
            "Ponsonby Road",
        ],
    },
];

/// The city that a territory belongs to.
#[must_use]
pub fn of_territory(territory: &str) -> Option<&'static City> {
    CITIES
        .iter()
        .find(|city| city.territories.contains(&territory))
}
