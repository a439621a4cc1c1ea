//! Names, places and hosts to plant. Those of the held-out sentences are others.

/// What the braces of a template draw from.
pub(super) struct Pools {
    pub first: [&'static str; 40],
    pub last: [&'static str; 40],
    /// With the state, short and long.
    pub towns: [(&'static str, &'static str, &'static str); 16],
    pub streets: [&'static str; 12],
    pub facilities: [&'static str; 12],
    pub saints: [&'static str; 6],
    pub hosts: [&'static str; 5],
}

pub(super) const TUNED: Pools = Pools {
    first: [
        "John", "Maria", "Michael", "Linda", "Wei", "Fatima", "Carlos", "Aisha", "Olga", "Priya", "James", "Dorothy",
        "Hiroshi", "Sofia", "Kwame", "Ingrid", "Robert", "Patricia", "Ahmed", "Guadalupe", "Thomas", "Eleanor", "Ivan",
        "Mei", "Deshawn", "Latoya", "Ruth", "George", "Nadia", "Sean", "Bridget", "Rajesh", "Yolanda", "Walter", "Irene",
        "Pedro", "Emily", "Joshua", "Thuy", "Leroy",
    ],
    last: [
        "Smith", "Garcia", "Okafor", "Nguyen", "Kowalski", "Patel", "Johnson", "O'Brien", "Kim", "Rossi", "Hernandez",
        "Williams", "Schmidt", "Ivanov", "Chen", "Murphy", "Washington", "Abdullah", "Fitzgerald", "Singh", "Lopez",
        "Tanaka", "McDonald", "Anderson", "Papadopoulos", "Cohen", "Jefferson", "Ramirez", "Larsen", "Thompson",
        "Achterberg", "Mbeki", "Sutherland", "Vasquez", "Lindqvist", "Ferreira", "Hughes", "Park", "Delgado", "Whitaker",
    ],
    towns: [
        ("Springfield", "IL", "Illinois"),
        ("Boston", "MA", "Massachusetts"),
        ("Cedar Falls", "IA", "Iowa"),
        ("Tulsa", "OK", "Oklahoma"),
        ("San Antonio", "TX", "Texas"),
        ("Burlington", "VT", "Vermont"),
        ("Eastport", "ME", "Maine"),
        ("Fort Wayne", "IN", "Indiana"),
        ("Oakland", "CA", "California"),
        ("Millbrook", "NY", "New York"),
        ("St. Louis", "MO", "Missouri"),
        ("Savannah", "GA", "Georgia"),
        ("Duluth", "MN", "Minnesota"),
        ("Chicago", "IL", "Illinois"),
        ("Pine Hollow", "KY", "Kentucky"),
        ("Reno", "NV", "Nevada"),
    ],
    streets: [
        "Maple", "Oak Hill", "Washington", "Elm", "Park", "Sunset", "Cherry Tree", "Main", "Lincoln", "Mill Pond",
        "Second", "Harbor",
    ],
    facilities: [
        "Mercy", "Riverside", "Mount Hope", "Lakeview", "Good Samaritan", "Providence", "Willow Creek", "Springfield",
        "Holy Cross", "Oakwood", "Northside", "Jefferson",
    ],
    saints: ["Luke", "Mary", "Vincent", "Joseph", "Agnes", "Francis"],
    hosts: ["example.org", "mailbox.example.com", "clinic-portal.net", "example.edu", "family.info"],
};

pub(super) const HELD_OUT: Pools = Pools {
    first: [
        "William", "Carmen", "David", "Susan", "Jing", "Khadija", "Miguel", "Amina", "Svetlana", "Ananya", "Charles",
        "Mildred", "Kenji", "Lucia", "Kofi", "Astrid", "Richard", "Barbara", "Mohammed", "Rosa", "Edward", "Florence",
        "Dmitri", "Ling", "Tyrone", "Keisha", "Esther", "Harold", "Leila", "Liam", "Siobhan", "Sanjay", "Juanita",
        "Stanley", "Agnes", "Jorge", "Jessica", "Brandon", "Minh", "Otis",
    ],
    last: [
        "Jones", "Rodriguez", "Adeyemi", "Tran", "Nowak", "Sharma", "Brown", "O'Connor", "Lee", "Esposito", "Martinez",
        "Davis", "Mueller", "Petrov", "Wang", "Sullivan", "Robinson", "Hassan", "Gallagher", "Kaur", "Gonzalez",
        "Yamamoto", "McCarthy", "Peterson", "Stavros", "Goldberg", "Franklin", "Torres", "Hansen", "Mitchell",
        "Vandermolen", "Dlamini", "Pemberton", "Castillo", "Bergstrom", "Oliveira", "Jenkins", "Choi", "Fuentes",
        "Hathaway",
    ],
    towns: [
        ("Dayton", "OH", "Ohio"),
        ("Seattle", "WA", "Washington"),
        ("Grand Rapids", "MI", "Michigan"),
        ("Fresno", "CA", "California"),
        ("El Paso", "TX", "Texas"),
        ("Portland", "OR", "Oregon"),
        ("Bangor", "ME", "Maine"),
        ("Baton Rouge", "LA", "Louisiana"),
        ("Trenton", "NJ", "New Jersey"),
        ("Larkspur", "CO", "Colorado"),
        ("St. Paul", "MN", "Minnesota"),
        ("Charlotte", "NC", "North Carolina"),
        ("Omaha", "NE", "Nebraska"),
        ("Philadelphia", "PA", "Pennsylvania"),
        ("Stony Ridge", "TN", "Tennessee"),
        ("Tucson", "AZ", "Arizona"),
    ],
    streets: [
        "Birch", "Chestnut Hill", "Madison", "Walnut", "Church", "Prospect", "Apple Orchard", "High", "Jackson",
        "Stone Bridge", "Third", "Ocean",
    ],
    facilities: [
        "Sacred Heart", "Hillcrest", "Mount Sinai", "Bayview", "Methodist", "Trinity", "Maple Grove", "Dayton", "Beacon",
        "Elmhurst", "Eastside", "Franklin",
    ],
    saints: ["Anne", "John", "Thomas", "Elizabeth", "Clare", "Anthony"],
    hosts: ["example.net", "post.example.org", "my-health.org", "example.gov", "homepage.biz"],
};
