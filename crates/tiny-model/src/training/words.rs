//! Lists of common words.

pub(crate) const NOUNS: &[&str] = &[
    "llama", "river", "stone", "lamp", "garden", "engine", "book", "window", "bridge", "apple", "boat", "cloud",
    "door", "horse", "island", "jacket", "key", "letter", "mountain", "night", "ocean", "paper", "queen", "road",
    "star", "table", "valley", "wind", "box", "cup", "desk", "egg", "fish", "glass", "hill", "ice", "king", "leaf",
    "moon", "nest", "owl", "pen", "rope", "ship", "tree", "wall", "wolf", "bag", "cat", "dog", "bird", "bell", "bread",
    "cake", "coat", "flower", "forest", "fox", "hat", "house", "lake", "map", "milk", "mirror", "plate", "potato",
    "rain", "ring", "salt", "snow", "sugar", "tower", "train", "wagon", "water", "wheel", "wool", "blanket", "candle",
    "camera", "chair", "clock", "drum", "feather", "guitar", "hammer", "kettle", "ladder", "market", "needle",
    "orange", "pepper", "radio", "shoe", "spoon", "ticket", "umbrella", "violin", "whistle", "basket",
];

pub(crate) const ADJECTIVES: &[&str] = &[
    "red", "blue", "green", "yellow", "white", "black", "brown", "grey", "old", "new", "small", "big", "warm", "cold",
    "quiet", "loud", "fast", "slow", "soft", "hard", "bright", "dark", "clean", "dry", "wet", "happy", "calm", "brave",
    "kind", "wild", "tall", "short", "long", "wide", "deep", "light", "heavy", "round", "sweet", "silver", "golden",
];

pub(crate) const COLOURS: &[&str] = &[
    "red", "blue", "green", "yellow", "white", "black", "brown", "grey", "orange", "pink", "purple", "silver", "golden",
];

pub(crate) const FIRST_NAMES: &[&str] = &[
    "Anna", "Ben", "Carla", "David", "Elena", "Felix", "Grace", "Hugo", "Ines", "Jack", "Kim", "Laura", "Maria",
    "Nina", "Omar", "Paul", "Rosa", "Sam", "Tom", "Vera", "Alice", "Bob", "Charlie", "Diana", "Emma", "Frank", "Lucas",
    "Mia", "John", "Sarah", "Peter", "Julia", "Ada", "Alan", "Eve", "Ivan", "Lena", "Max", "Olga", "Yuki",
];

pub(crate) const CITIES: &[&str] = &[
    "Lima",
    "Cusco",
    "Paris",
    "London",
    "Berlin",
    "Madrid",
    "Rome",
    "Tokyo",
    "Oslo",
    "Cairo",
    "Quito",
    "La Paz",
    "Lisbon",
    "Vienna",
    "Prague",
    "Delhi",
    "Boston",
    "Chicago",
    "Denver",
    "Sydney",
    "Toronto",
    "Dublin",
    "Geneva",
    "Milan",
    "Santiago",
    "Bogota",
    "Puno",
    "Sucre",
    "New York",
    "San Francisco",
    "Seattle",
    "Zurich",
];

pub(crate) const JOBS: &[&str] = &[
    "baker", "teacher", "doctor", "pilot", "farmer", "painter", "singer", "writer", "driver", "cook", "nurse",
    "builder", "engineer", "gardener", "judge", "sailor", "tailor", "guide",
];

pub(crate) const ANIMALS: &[&str] = &[
    "cat", "dog", "bird", "horse", "fish", "fox", "llama", "alpaca", "goat", "rabbit", "parrot", "turtle",
];

pub(crate) const DAYS: &[&str] = &[
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

pub(crate) const MONTHS: &[&str] = &[
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(crate) const WEATHER: &[&str] = &[
    "sunny",
    "cloudy",
    "rainy",
    "windy",
    "cold and clear",
    "warm and dry",
    "snowy",
    "foggy",
    "mild",
    "hot",
];

pub(crate) const VERBS: &[&str] = &[
    "open", "close", "find", "check", "book", "order", "start", "stop", "send", "print", "read", "move", "clean",
    "lock", "paint", "count", "load", "save", "share", "weigh",
];
