//! Common first and last names of each city, from which the people of the roster are put together.

/// First and last names; every first goes with every last.
#[derive(Debug)]
pub struct Names {
    /// Given names.
    pub first: [&'static str; 24],
    /// Family names.
    pub last: [&'static str; 24],
}

impl Names {
    /// How many different people they make.
    pub const COUNT: usize = 24 * 24;

    /// The `index`-th full name, below [`Names::COUNT`]; each index gives another.
    #[must_use]
    pub fn full(&self, index: usize) -> String {
        let index = index % Self::COUNT;
        format!("{} {}", self.first[index / 24], self.last[index % 24])
    }
}

/// London's names.
pub const LONDON: Names = Names {
    first: [
        "Amelia", "Oliver", "Priya", "Callum", "Grace", "Jamal", "Sophie", "Declan", "Zara",
        "Harry", "Megan", "Tariq", "Chloe", "Gareth", "Ngozi", "Lewis", "Hannah", "Omar",
        "Bethany", "Rhys", "Aisha", "Connor", "Florence", "Dev",
    ],
    last: [
        "Hughes",
        "Okafor",
        "Patel",
        "Bennett",
        "Campbell",
        "Ahmed",
        "Fletcher",
        "Murphy",
        "Walsh",
        "Osei",
        "Thornton",
        "Begum",
        "Reid",
        "Gallagher",
        "Baker",
        "Chowdhury",
        "Lloyd",
        "Hussain",
        "Marsh",
        "Bailey",
        "Adeyemi",
        "Palmer",
        "Khan",
        "Whitfield",
    ],
};

/// Berlin's names.
pub const BERLIN: Names = Names {
    first: [
        "Anna",
        "Lukas",
        "Leyla",
        "Jonas",
        "Katrin",
        "Mehmet",
        "Frieda",
        "Stefan",
        "Jana",
        "Emre",
        "Greta",
        "Matthias",
        "Elif",
        "Tobias",
        "Nadine",
        "Piotr",
        "Hannelore",
        "Felix",
        "Milena",
        "Jürgen",
        "Svenja",
        "Karim",
        "Annika",
        "Björn",
    ],
    last: [
        "Schneider",
        "Yılmaz",
        "Krüger",
        "Lehmann",
        "Nowak",
        "Vogel",
        "Schröder",
        "Demir",
        "Hartmann",
        "Krause",
        "Böhm",
        "Werner",
        "Kaya",
        "Zimmermann",
        "Lange",
        "Kowalski",
        "Köhler",
        "Winkler",
        "Arslan",
        "Seidel",
        "Brandt",
        "Pohl",
        "Ziegler",
        "Haas",
    ],
};

/// New York's names.
pub const NEW_YORK: Names = Names {
    first: [
        "Maria", "Anthony", "Keisha", "Daniel", "Rosa", "Malik", "Jennifer", "Vincent", "Mei",
        "Tyrone", "Rachel", "Luis", "Destiny", "Kevin", "Yolanda", "Joseph", "Angela", "Andre",
        "Rebecca", "Hector", "Tiffany", "Patrick", "Soo-jin", "Marcus",
    ],
    last: [
        "Rivera",
        "Russo",
        "Washington",
        "Chen",
        "Goldberg",
        "Jackson",
        "Ramirez",
        "O'Brien",
        "Kim",
        "Esposito",
        "Brooks",
        "Morales",
        "Friedman",
        "Singh",
        "Coleman",
        "Ortiz",
        "DeLuca",
        "Park",
        "Baptiste",
        "Sullivan",
        "Vargas",
        "Weiss",
        "Greene",
        "Torres",
    ],
};

/// São Paulo's names.
pub const SAO_PAULO: Names = Names {
    first: [
        "Ana",
        "João",
        "Beatriz",
        "Rafael",
        "Camila",
        "Thiago",
        "Larissa",
        "Mateus",
        "Juliana",
        "Gustavo",
        "Fernanda",
        "Caio",
        "Luciana",
        "Vinícius",
        "Aline",
        "Eduardo",
        "Patrícia",
        "Rodrigo",
        "Yumi",
        "Leandro",
        "Tatiane",
        "Marcelo",
        "Simone",
        "Fábio",
    ],
    last: [
        "Silva", "Oliveira", "Tanaka", "Ribeiro", "Carvalho", "Almeida", "Ferreira", "Barbosa",
        "Rocha", "Nogueira", "Martins", "Teixeira", "Moreira", "Cardoso", "Correia", "Pinheiro",
        "Rossi", "Andrade", "Batista", "Freitas", "Duarte", "Moraes", "Bianchi", "Campos",
    ],
};

/// Nairobi's names.
pub const NAIROBI: Names = Names {
    first: [
        "Wanjiku",
        "Brian",
        "Akinyi",
        "Kevin",
        "Mercy",
        "Otieno",
        "Faith",
        "Kamau",
        "Halima",
        "Dennis",
        "Nyambura",
        "Kiprotich",
        "Esther",
        "Mwangi",
        "Zawadi",
        "Samuel",
        "Chebet",
        "Abdi",
        "Purity",
        "Juma",
        "Atieno",
        "Peter",
        "Naliaka",
        "Collins",
    ],
    last: [
        "Kariuki",
        "Ochieng",
        "Njoroge",
        "Mutua",
        "Wekesa",
        "Cheruiyot",
        "Hassan",
        "Kimani",
        "Odhiambo",
        "Maina",
        "Wambui",
        "Barasa",
        "Koech",
        "Musyoka",
        "Omondi",
        "Gitau",
        "Achieng",
        "Rotich",
        "Mohamed",
        "Ndungu",
        "Simiyu",
        "Kilonzo",
        "Muthoni",
        "Owino",
    ],
};

/// Mumbai's names.
pub const MUMBAI: Names = Names {
    first: [
        "Aarti", "Rohan", "Sneha", "Imran", "Kavita", "Sachin", "Fatima", "Nikhil", "Pooja",
        "Rustom", "Anjali", "Ganesh", "Meera", "Farhan", "Shreya", "Prakash", "Lata", "Vikram",
        "Deepa", "Joseph", "Sunita", "Amit", "Rekha", "Yusuf",
    ],
    last: [
        "Patil",
        "Deshmukh",
        "Shaikh",
        "Joshi",
        "D'Souza",
        "Kulkarni",
        "Mehta",
        "Pawar",
        "Khan",
        "Naik",
        "Shinde",
        "Fernandes",
        "Iyer",
        "Gaikwad",
        "Ansari",
        "Jadhav",
        "Shah",
        "Daruwala",
        "Sawant",
        "Chavan",
        "Pereira",
        "Kadam",
        "More",
        "Bhosale",
    ],
};

/// Tokyo's names, given name first.
pub const TOKYO: Names = Names {
    first: [
        "Haruka", "Kenta", "Yui", "Daisuke", "Aoi", "Takumi", "Sakura", "Ryo", "Misaki", "Shota",
        "Nanami", "Kenji", "Ayaka", "Hiroshi", "Mei", "Tsubasa", "Emi", "Kazuki", "Rin", "Makoto",
        "Chihiro", "Naoki", "Kaori", "Yuto",
    ],
    last: [
        "Sato",
        "Suzuki",
        "Takahashi",
        "Watanabe",
        "Ito",
        "Yamamoto",
        "Nakamura",
        "Kobayashi",
        "Kato",
        "Yoshida",
        "Yamada",
        "Sasaki",
        "Matsumoto",
        "Inoue",
        "Kimura",
        "Hayashi",
        "Shimizu",
        "Mori",
        "Abe",
        "Ikeda",
        "Hashimoto",
        "Ogawa",
        "Okada",
        "Fujita",
    ],
};

/// Auckland's names.
pub const AUCKLAND: Names = Names {
    first: [
        "Aroha",
        "Liam",
        "Mere",
        "Sione",
        "Charlotte",
        "Tane",
        "Leilani",
        "Hamish",
        "Ngaire",
        "Wiremu",
        "Olivia",
        "Tavita",
        "Georgia",
        "Rangi",
        "Sina",
        "Blake",
        "Hine",
        "Manaia",
        "Kate",
        "Semisi",
        "Mei-Ling",
        "Josh",
        "Anahera",
        "Rawiri",
    ],
    last: [
        "Ngata",
        "Wilson",
        "Taufa",
        "Parata",
        "Mackenzie",
        "Leota",
        "Harris",
        "Tamihana",
        "Fifita",
        "Wong",
        "Robertson",
        "Paewai",
        "Tuilagi",
        "Fraser",
        "Hohepa",
        "Singh",
        "Stewart",
        "Faleafa",
        "Kingi",
        "Morrison",
        "Latu",
        "Waititi",
        "Cooper",
        "Moana",
    ],
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cities::CITIES;

    #[test]
    fn no_two_people_of_all_cities_share_a_name() {
        let all = CITIES
            .iter()
            .flat_map(|city| (0..Names::COUNT).map(|i| city.names.full(i)));
        let unique: BTreeSet<String> = all.collect();
        assert_eq!(unique.len(), CITIES.len() * Names::COUNT);
    }
}
