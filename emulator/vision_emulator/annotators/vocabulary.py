"""The words of the synthetic annotator: scenes whose labels, objects, web entities and text belong together.

Machine ids (mids) that are publicly known are in KNOWN_MIDS; every other is derived from its word, of the same shape and always the same.
"""

# ruff: noqa: E501 - a list of words stands on one line, whatever its length

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from typing import Final, NamedTuple

MID_LETTERS: Final = "0123456789bcdfghjklmnpqrstvwxyz_"


def mid(name: str) -> str:
    """The machine id of a thing, such as /m/0bt9lr for Dog."""
    known = KNOWN_MIDS.get(name)
    if known:
        return known
    digest = hashlib.sha256(name.encode()).digest()
    return "/m/0" + "".join(MID_LETTERS[byte % 32] for byte in digest[:5])


def newer_mid(name: str) -> str:
    """An id of the newer shape, such as /g/11c47fvr88: longer, for names of which there are thousands."""
    digest = hashlib.sha256(name.encode()).digest()
    return "/g/11" + "".join(MID_LETTERS[byte % 32] for byte in digest[:8])


@dataclass(frozen=True, slots=True)
class Scene:
    """What one kind of picture shows. Tuples run from the typical to the incidental."""

    name: str
    guess: str  # the web's best guess label
    labels: tuple[str, ...]
    objects: tuple[str, ...]
    entities: tuple[str, ...]
    texts: tuple[str, ...] = ()  # "/" ends a line, "//" a paragraph, "///" a block
    people: int = 0  # faces at most
    document: bool = False  # all of it is text


class Landmark(NamedTuple):
    """A sight: its name, the scene it stands in, and where on earth (degrees)."""

    name: str
    scene: str
    latitude: float
    longitude: float


def _scene(name: str, guess: str, labels: str, objects: str, entities: str, *texts: str, people: int = 0, document: bool = False) -> Scene:
    """A scene from comma-separated lists."""
    return Scene(name, guess, _list(labels), _list(objects), _list(entities), texts, people, document)


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


SCENES: Final = (
    _scene(
        "harbour",
        "fishing boats in harbor",
        "Boat, Water, Watercraft, Sky, Vehicle, Harbor, Marina, Dock, Mast, Ship, Fishing vessel, Sea, Naval architecture, Port, Sailing, Coast",
        "Boat, Boat, Ship, Person, Buoy",
        "Harbor, Fishing vessel, Boat, Marina, Sailing, Yacht, Port, Quay",
        "HARBOR MASTER/OFFICE//VISITORS REPORT HERE",
        "NO SWIMMING/DEEP WATER",
        "FRESH FISH/DAILY FROM 7 AM",
        people=1,
    ),
    _scene(
        "street",
        "city street with cars",
        "Street, Car, Building, Town, City, Neighbourhood, Road, Traffic, Alley, Urban area, Pedestrian, Lane, Infrastructure, Sidewalk, Downtown, Metropolitan area",
        "Car, Car, Person, Traffic light, Building, Bicycle",
        "Street, Traffic, City, Downtown, Car, Pedestrian crossing, Road, Parking",
        "ONE WAY//NO PARKING/8 AM TO 6 PM",
        "MARKET ST/NEXT EXIT",
        "WAITING?/PLEASE TURN OFF/YOUR ENGINE",
        people=3,
    ),
    _scene(
        "night",
        "city skyline at night",
        "Night, Light, Skyscraper, Cityscape, Metropolis, Tower block, Skyline, Midnight, Electricity, Reflection, Commercial building, Darkness, Neon, Darkroom, Tower, Landmark",
        "Skyscraper, Building, Tower, Street light, Car",
        "Skyline, Skyscraper, Cityscape, Night photography, Downtown, Tower, High-rise building",
        "HOTEL/VACANCY",
        "OPEN 24 HOURS",
    ),
    _scene(
        "beach",
        "sandy beach holiday",
        "Beach, Sand, Ocean, Sky, Coastal and oceanic landforms, Vacation, Wave, Shore, Wind wave, Tropics, Summer, Horizon, Tide, Leisure, Palm tree, Azure",
        "Person, Umbrella, Surfboard, Ball, Palm tree",
        "Beach, Vacation, Surfing, Ocean, Island, Coast, Seaside resort, Tropics",
        "SURF SCHOOL/LESSONS DAILY",
        "DANGER/STRONG CURRENT",
        "BEACH CLOSES/AT SUNSET",
        people=2,
    ),
    _scene(
        "mountain",
        "mountain landscape hiking",
        "Mountain, Cloud, Natural landscape, Mountainous landforms, Sky, Highland, Slope, Valley, Wilderness, Ridge, Hiking, Alps, Hill, Plateau, Massif, Summit",
        "Person, Backpack, Tent, Mountain",
        "Mountain, Hiking, Alps, National park, Valley, Summit, Mountain range, Trail",
        "SUMMIT TRAIL/4.2 KM",
        "ELEVATION/2412 M",
        people=1,
    ),
    _scene(
        "forest",
        "forest path in autumn",
        "Plant, Tree, Forest, Natural environment, Wood, Trunk, Woodland, Autumn, Deciduous, Path, Groundcover, Grove, Sunlight, Nature reserve, Moss, Branch",
        "Tree, Tree, Bench, Deer, Person",
        "Forest, Autumn, Tree, Nature reserve, Hiking trail, Woodland, Leaf",
        "NATURE RESERVE/KEEP TO THE PATH",
        "PICNIC AREA/500 M",
    ),
    _scene(
        "snow",
        "skiing in winter",
        "Snow, Winter, Ski, Slope, Freezing, Piste, Skier, Winter sport, Glove, Outdoor recreation, Helmet, Ski resort, Frost, Ice, Glacial landform, Snowboard",
        "Person, Ski, Helmet, Snowboard, Goggles",
        "Skiing, Ski resort, Winter sport, Snow, Snowboarding, Alps, Piste",
        "SLOW/SKI SCHOOL AREA",
        "LIFT CLOSES/AT 16:30",
        people=2,
    ),
    _scene(
        "dog",
        "dog on the lawn",
        "Dog, Carnivores, Dog breed, Snout, Pet Supply, Collar, Working animal, Lawn, Canidae, Dog collar, Companion dog, Fawn, Whiskers, Terrestrial animal, Grass, Puppy",
        "Dog, Dog, Ball, Collar, Toy",
        "Dog, Puppy, Dog breed, Labrador Retriever, Golden Retriever, Pet, Dog training, Obedience training",
        "BEWARE/OF THE DOG",
        "PLEASE CLEAN UP/AFTER YOUR DOG",
    ),
    _scene(
        "cat",
        "cat sleeping on sofa",
        "Cat, Felidae, Small to medium-sized cats, Carnivore, Whiskers, Comfort, Iris, Kitten, Tail, Fur, Domestic short-haired cat, Couch, Claw, Paw, Nap, Tabby cat",
        "Cat, Couch, Pillow, Toy",
        "Cat, Kitten, Tabby cat, European shorthair, Pet, Whiskers, Cat food",
        "CAT CAFE/PLEASE KNOCK",
    ),
    _scene(
        "farm",
        "cows grazing in field",
        "Cattle, Grassland, Pasture, Livestock, Dairy cow, Agriculture, Field, Working animal, Rural area, Grazing, Bovine, Herd, Farm, Fence, Ranch, Meadow",
        "Cattle, Cattle, Sheep, Goat, Fence, Tractor",
        "Cattle, Dairy farming, Pasture, Livestock, Agriculture, Grazing, Farm",
        "FARM SHOP/EGGS MILK CHEESE",
        "PRIVATE ROAD/CLOSE THE GATE",
    ),
    _scene(
        "safari",
        "wild animals on safari",
        "Elephant, Wildlife, Terrestrial animal, Savanna, Natural landscape, African elephant, Elephants and Mammoths, Safari, Grassland, Tusk, Adaptation, Shrubland, Giraffe, Zebra, Lion, Bushland",
        "Elephant, Giraffe, Zebra, Lion, Tree",
        "Safari, African bush elephant, National park, Savanna, Wildlife, Lion, Serengeti",
        "STAY IN/YOUR VEHICLE",
    ),
    _scene(
        "bird",
        "bird on a branch",
        "Bird, Beak, Feather, Songbird, Wing, Twig, Perching bird, Finch, Branch, Old World flycatcher, Tail, Wildlife, European robin, Sparrow, Passerine, Ornithology",
        "Bird, Sparrow, Twig, Flower",
        "Bird, Birdwatching, European robin, Songbird, Beak, Feather, Finch",
        "BIRD SANCTUARY/QUIET PLEASE",
    ),
    _scene(
        "underwater",
        "coral reef fish",
        "Underwater, Marine biology, Fish, Coral reef, Organism, Reef, Fin, Aquarium, Stony coral, Scuba diving, Pomacentridae, Marine invertebrates, Aqua, Coral, Turtle, Shark",
        "Fish, Fish, Turtle, Shark, Jellyfish",
        "Coral reef, Scuba diving, Fish, Aquarium, Marine biology, Snorkeling, Sea turtle",
        "DO NOT TOUCH/THE CORAL",
    ),
    _scene(
        "garden",
        "flowers in the garden",
        "Flower, Petal, Botany, Flowering plant, Rose, Garden, Herbaceous plant, Annual plant, Pollen, Tulip, Blossom, Sunflower, Shrub, Spring, Bouquet, Wildflower",
        "Flower, Rose, Butterfly, Bee, Flowerpot",
        "Flower, Garden, Rose, Tulip, Botanical garden, Gardening, Butterfly",
        "BOTANICAL GARDEN/PLEASE DO NOT PICK",
        "ROSE COLLECTION/PLANTED 1924",
    ),
    _scene(
        "breakfast",
        "breakfast with coffee",
        "Food, Tableware, Coffee, Breakfast, Ingredient, Cup, Drinkware, Brunch, Dish, Cuisine, Baked goods, Croissant, Saucer, Egg, Espresso, Serveware",
        "Coffee cup, Plate, Croissant, Spoon, Egg, Table",
        "Breakfast, Coffee, Brunch, Croissant, Espresso, Cafe, Bakery",
        "BREAKFAST MENU//TWO EGGS  6.50/CROISSANT  3.20/COFFEE  2.80",
        "GOOD MORNING",
    ),
    _scene(
        "pizza",
        "pizza in restaurant",
        "Pizza, Food, Recipe, Cuisine, Ingredient, Dish, Pizza cheese, Baked goods, Mozzarella, Tomato, Flatbread, Basil, Fast food, Italian food, Pepperoni, Junk food",
        "Pizza, Plate, Fork, Knife, Wine glass, Table",
        "Pizza, Italian cuisine, Restaurant, Neapolitan pizza, Mozzarella, Recipe, Pizza Margherita",
        "PIZZERIA/WOOD FIRED OVEN",
        "MARGHERITA  9.00/NAPOLI  10.50/QUATTRO STAGIONI  12.00",
        people=1,
    ),
    _scene(
        "market",
        "fruit and vegetable market",
        "Food, Natural foods, Fruit, Vegetable, Local food, Marketplace, Produce, Whole food, Greengrocer, Apple, Orange, Banana, Selling, Staple food, Superfood, Retail",
        "Apple, Orange, Banana, Tomato, Person, Fruit",
        "Marketplace, Fruit, Vegetable, Greengrocer, Farmers' market, Organic food, Grocery store",
        "APPLES  2.40/KG//ORANGES  1.90/KG",
        "FRESH TODAY/BUY 2 GET 1 FREE",
        people=2,
    ),
    _scene(
        "kitchen",
        "modern kitchen interior",
        "Kitchen, Countertop, Cabinetry, Interior design, Kitchen appliance, Kitchen stove, Sink, Tap, Home appliance, Drawer, Room, Refrigerator, Oven, Tile, Gas stove, Hood",
        "Oven, Refrigerator, Sink, Chair, Table, Houseplant",
        "Kitchen, Countertop, Interior Design Services, Cabinetry, Home appliance, Renovation",
        "HOME SWEET HOME",
    ),
    _scene(
        "living room",
        "living room interior design",
        "Furniture, Couch, Living room, Interior design, Comfort, Wood, Flooring, Wall, Studio couch, Rectangle, Lamp, Houseplant, Coffee table, Curtain, Real estate, Carpet",
        "Couch, Table, Lamp, Houseplant, Picture frame, Pillow",
        "Living room, Interior Design Services, Couch, Apartment, Furniture, House, Carpet",
        "THINGS TO DO TODAY",
    ),
    _scene(
        "office",
        "people working in office",
        "Computer, Personal computer, Desk, Office equipment, Laptop, Output device, Computer keyboard, Office, Table, Input device, Peripheral, Computer monitor, Gadget, Job, Employment, Office chair",
        "Laptop, Computer monitor, Computer keyboard, Chair, Desk, Computer mouse",
        "Office, Laptop, Computer monitor, Coworking, Desk, Software, Business",
        "QUARTERLY PLAN//1 HIRE/2 SHIP/3 MEASURE",
        "MEETING ROOM B/PLEASE BOOK AHEAD",
        people=4,
    ),
    _scene(
        "portrait",
        "portrait of a smiling person",
        "Face, Forehead, Hair, Smile, Chin, Eyebrow, Facial expression, Eyelash, Jaw, Happy, Neck, Portrait, Hairstyle, Collar, Cheek, Portrait photography",
        "Clothing, Glasses, Hat",
        "Portrait, Portrait photography, Smile, Hairstyle, Headshot, Photography",
        "HELLO/MY NAME IS",
        people=2,
    ),
    _scene(
        "party",
        "friends at birthday party",
        "Event, Party, Fun, Happiness, Birthday, Balloon, Social group, Celebrating, Leisure, Sharing, Cake, Party supply, Candle, Tradition, Drink, Recreation",
        "Balloon, Cake, Candle, Bottle, Wine glass",
        "Party, Birthday, Birthday cake, Balloon, Friendship, Celebration",
        "HAPPY BIRTHDAY",
        "CONGRATULATIONS/CLASS OF 2024",
        people=4,
    ),
    _scene(
        "concert",
        "live concert stage",
        "Music, Concert, Entertainment, Musician, Performing arts, Musical instrument, Guitar, Guitarist, Stage, Drum, Microphone, Performance, String instrument, Music venue, Singer, Audio equipment",
        "Guitar, Drum, Microphone, Musical instrument",
        "Concert, Guitar, Musician, Singer, Rock concert, Music festival, Drum kit",
        "LIVE TONIGHT/DOORS 8 PM",
        "SUMMER TOUR/SOLD OUT",
        people=4,
    ),
    _scene(
        "football",
        "football match in stadium",
        "Player, Sports equipment, Football, Sports uniform, Ball, Team sport, Stadium, Sportswear, Tournament, Ball game, Soccer, Jersey, Championship, Competition event, Grass, Kick",
        "Football, Footwear, Person, Goal",
        "Football, Football player, Stadium, Tournament, UEFA Champions League, Jersey, Goal",
        "HOME 2/GUESTS 1",
        "GATE C/ROW 14 SEAT 22",
        people=4,
    ),
    _scene(
        "tennis",
        "tennis player on court",
        "Tennis, Racket, Tennis racket, Sports equipment, Tennis court, Tennis player, Racquet sport, Strings, Tennis ball, Sport venue, Net, Sleeve, Shorts, Championship, Soft tennis, Rackets",
        "Tennis racket, Tennis ball, Footwear, Hat",
        "Tennis, Tennis player, Wimbledon, Racket, Tennis court, Grand Slam",
        "COURT 3/MEMBERS ONLY",
        people=2,
    ),
    _scene(
        "bicycle",
        "bicycle leaning on wall",
        "Bicycle, Wheel, Tire, Bicycle wheel, Bicycle frame, Bicycle tire, Bicycle handlebar, Bicycle fork, Vehicle, Crankset, Bicycle saddle, Hybrid bicycle, Spoke, Bicycle part, Rim, Road bicycle",
        "Bicycle, Bicycle wheel, Bicycle wheel, Helmet",
        "Bicycle, Road bicycle, Bicycle wheel, Cycling, Mountain bike, Bicycle frame, Bicycle shop",
        "BICYCLES/WILL BE REMOVED",
        "BIKE RENTAL/FROM 9.00 A DAY",
    ),
    _scene(
        "car",
        "red sports car",
        "Car, Land vehicle, Vehicle, Automotive design, Hood, Motor vehicle, Automotive lighting, Automotive exterior, Alloy wheel, Bumper, Sports car, Grille, Headlamp, Vehicle registration plate, Supercar, Automotive tire",
        "Car, Wheel, Wheel, Vehicle registration plate, Tire",
        "Sports car, Car, Alloy wheel, Coupe, Automotive design, Car dealership, Motor show",
        "B 4711 VE",
        "FOR SALE/ONE OWNER",
    ),
    _scene(
        "train",
        "train at railway station",
        "Train, Rolling stock, Railway, Track, Mode of transport, Public transport, Train station, Locomotive, Railroad car, Passenger, Metro, Platform, High-speed rail, Electric train, Engineering, Station",
        "Train, Person, Clock, Suitcase, Bench",
        "Train, Train station, High-speed rail, Rail transport, Locomotive, Commuter rail, Public transport",
        "PLATFORM 9/MIND THE GAP",
        "DEPARTURES//10:42 CENTRAL/10:57 AIRPORT/11:05 NORTH PARK",
        people=2,
    ),
    _scene(
        "airport",
        "airplane at airport",
        "Airplane, Aircraft, Air travel, Airline, Airliner, Aviation, Aerospace engineering, Jet engine, Narrow-body aircraft, Airport, Runway, Wing, Flight, Flap, Wide-body aircraft, Airport apron",
        "Airplane, Van, Truck, Person",
        "Airplane, Airline, Airliner, Airport, Aviation, Boeing 737, Airbus A320",
        "GATE B12/BOARDING",
        "BAGGAGE CLAIM/TERMINAL 2",
    ),
    _scene(
        "bridge",
        "bridge over river",
        "Bridge, Water, Cable-stayed bridge, River, Suspension bridge, Nonbuilding structure, Fixed link, Waterway, Girder bridge, Channel, Reflection, Landmark, Arch bridge, Sky, Dusk, Concrete bridge",
        "Boat, Building, Tower, Car",
        "Bridge, River, Suspension bridge, Civil engineering, Waterway, Landmark",
        "CLEARANCE/4.5 M",
    ),
    _scene(
        "cathedral",
        "old cathedral architecture",
        "Building, Medieval architecture, Place of worship, Facade, Church, Dome, Architecture, Cathedral, Spire, Steeple, Gothic architecture, Holy places, Historic site, Arch, Basilica, Byzantine architecture",
        "Building, Tower, Window, Door, Person",
        "Cathedral, Gothic architecture, Church, Basilica, Middle Ages, Architecture, Tourism",
        "VISITORS/10 AM TO 5 PM",
        "QUIET PLEASE/SERVICE IN PROGRESS",
    ),
    _scene(
        "castle",
        "castle on a hill",
        "Castle, Building, Medieval architecture, Chateau, Fortification, Tower, History, Turret, Wall, Historic site, Tourist attraction, Stately home, Moat, Palace, Ruins, Estate",
        "Castle, Tower, Tree, Flag, Window",
        "Castle, Palace, Middle Ages, Tourism, Fortification, Museum, Chateau",
        "TICKETS/ADULTS 12.00",
    ),
    _scene(
        "museum",
        "sculpture in museum",
        "Sculpture, Art, Statue, Classical sculpture, Museum, Stone carving, Monument, Visual arts, Bronze sculpture, Carving, Exhibition, Artifact, Ancient history, Metal, Relief, Art gallery",
        "Sculpture, Picture frame, Person, Statue",
        "Sculpture, Museum, Art, Renaissance, Ancient Greece, Art museum, Exhibition",
        "PLEASE DO NOT TOUCH//BRONZE, 1887/GIFT OF THE ARTIST",
        "EXHIBITION/UPPER FLOOR",
        people=1,
    ),
    _scene(
        "fashion",
        "summer dress fashion",
        "Clothing, Dress, Fashion, Sleeve, Waist, Textile, Day dress, Fashion design, Pattern, One-piece garment, Formal wear, Fashion model, Street fashion, Shoulder, Handbag, Magenta",
        "Dress, Handbag, Footwear, Sunglasses, Hat",
        "Dress, Fashion, Clothing, Fashion show, Haute couture, Textile, Boutique",
        "SALE/UP TO 50 % OFF",
        people=2,
    ),
    _scene(
        "shoes",
        "running shoes",
        "Footwear, Shoe, Sneakers, Walking shoe, Outdoor shoe, Athletic shoe, Running shoe, Sportswear, Electric blue, Cross training shoe, Synthetic rubber, Tennis shoe, Plimsoll shoe, Skate shoe, Basketball shoe, Carmine",
        "Footwear, Footwear, Sock, Box",
        "Sneakers, Running shoe, Shoe, Athletic shoe, Sportswear, Jogging",
        "SIZE 42/MADE IN PORTUGAL",
    ),
    _scene(
        "gadgets",
        "smartphone on table",
        "Mobile phone, Communication Device, Portable communications device, Gadget, Smartphone, Telephony, Electronic device, Mobile device, Display device, Multimedia, Technology, Touchscreen, Camera, Cable, Headphones, Battery charger",
        "Mobile phone, Headphones, Camera, Tablet computer, Wristwatch",
        "Smartphone, Mobile phone, Camera, Headphones, Technology, Touchscreen, Unboxing",
        "37 %/12:04//3 NEW MESSAGES",
        "INSERT SIM CARD",
    ),
    _scene(
        "toys",
        "wooden toys for children",
        "Toy, Stuffed toy, Teddy bear, Plush, Doll, Toy block, Play, Baby toys, Wooden block, Educational toy, Construction set toy, Action figure, Puzzle, Plastic, Board game, Baby Products",
        "Toy, Teddy bear, Doll, Ball",
        "Toy, Teddy bear, Stuffed toy, Doll, Play, Construction set toy, Board game",
        "AGES 3 AND UP",
        people=1,
    ),
    _scene(
        "packaging",
        "product packaging design",
        "Bottle, Product, Label, Packaging and labeling, Liquid, Glass bottle, Drink, Brand, Ingredient, Carton, Box, Bottle cap, Plastic bottle, Advertising, Jar, Tin can",
        "Packaged goods, Bottle, Box, Tin can",
        "Packaging and labeling, Bottle, Brand, Drink, Product design, Advertising",
        "NET WT 500 G/BEST BEFORE 06 2027//INGREDIENTS/WATER SUGAR LEMON JUICE",
        "SHAKE WELL/KEEP COOL",
    ),
    _scene(
        "letter",
        "business letter document",
        "Text, Font, Document, Paper, Letter, Paper product, Material property, Publication, Handwriting, Number, Printing, Signature, Parallel, Monochrome, Stationery, Writing",
        "Paper",
        "Document, Letter, Business letter, Font, Paper, Template",
        "NORTH PARK WORKS/14 MILL LANE//DEAR CUSTOMER,//THANK YOU FOR YOUR ORDER OF/MARCH 3. THE PARTS LEFT OUR/WAREHOUSE THIS MORNING AND/WILL REACH YOU WITHIN FIVE DAYS."
        "///PLEASE CHECK THE DELIVERY/BEFORE YOU SIGN.//SINCERELY,/CUSTOMER SERVICE",
        "OIL, GAS AND MINERAL LEASE//This agreement is made between/the lessor and the lessee named/below, and covers the tract of/land described in section 2."
        "///Section 1. Term.//This lease shall remain in force/for a term of three years from/the date of signing.",
        document=True,
    ),
    _scene(
        "receipt",
        "store receipt",
        "Text, Font, Receipt, Number, Paper, Document, Paper product, Material property, Invoice, Ticket, Rectangle, Monochrome, Bill, Thermal paper, Label, Publication",
        "Paper",
        "Receipt, Invoice, Cash register, Supermarket, Point of sale, Value-added tax",
        "CORNER STORE/22 MARKET ST///MILK 1 L  1.29/RYE BREAD  2.49/APPLES 1.2 KG  2.88/COFFEE 250 G  5.99//TOTAL  12.65/CASH  20.00/CHANGE  7.35///THANK YOU",
        "RECEIPT NO. 004711///2 x NOTEBOOK A5  7.00/1 x PENCIL HB  0.80//SUBTOTAL  7.80/VAT 19 %  1.48/TOTAL  9.28",
        document=True,
    ),
    _scene(
        "book",
        "open book page",
        "Text, Font, Book, Publication, Paper, Paper product, Page, Literature, Reading, Document, Printing, Book paper, Novel, Handwriting, Ink, Typography",
        "Book",
        "Book, Novel, Literature, Reading, Page, Library, Publishing",
        "CHAPTER ONE///The ferry left at six, and by/half past the town was only a/line of lamps between the hills/and the water."
        "//Nobody on deck spoke. The wind/had turned, and with it the/smell of tar and salt.///11",
        "12///She counted the steps to the/door: fourteen, as always, and/one more where the stone was/broken."
        "//'You are late,' said the clerk/without looking up from the/ledger.",
        document=True,
    ),
    _scene(
        "whiteboard",
        "whiteboard diagram",
        "Handwriting, Whiteboard, Font, Writing, Rectangle, Diagram, Parallel, Number, Drawing, Plot, Office supplies, Display device, Design, Education, Slope, Circle",
        "Whiteboard, Person",
        "Whiteboard, Diagram, Brainstorming, Flowchart, Workshop, Education",
        "INPUT > QUEUE > WORKER//RETRY 3 x/THEN ALERT",
        "TASKS//FIX LOGIN/WRITE TESTS/CALL ANNA",
        people=1,
        document=True,
    ),
)

# Seen in any photograph; they end many a real answer.
GENERIC_LABELS: Final = _list(
    "Photography, Snapshot, Tints and shades, Still life photography, Close-up, Stock photography, Macro photography, Photograph, Color, Symmetry"
)

LANDMARKS: Final = (
    Landmark("Golden Gate Bridge", "bridge", 37.8199286, -122.4782551),
    Landmark("Brooklyn Bridge", "bridge", 40.7060855, -73.9968643),
    Landmark("Tower Bridge", "bridge", 51.5054564, -0.0753565),
    Landmark("Charles Bridge", "bridge", 50.0864772, 14.4114366),
    Landmark("Saint Basil's Cathedral", "cathedral", 55.752912, 37.6223159),
    Landmark("Notre-Dame de Paris", "cathedral", 48.8529682, 2.3499021),
    Landmark("Cologne Cathedral", "cathedral", 50.9412784, 6.9582814),
    Landmark("Sagrada Família", "cathedral", 41.4036299, 2.1743558),
    Landmark("Hagia Sophia", "cathedral", 41.008583, 28.9801622),
    Landmark("Neuschwanstein Castle", "castle", 47.557574, 10.7498004),
    Landmark("Edinburgh Castle", "castle", 55.9485947, -3.1999135),
    Landmark("Prague Castle", "castle", 50.0909085, 14.4004875),
    Landmark("Himeji Castle", "castle", 34.8394492, 134.6939047),
    Landmark("Matterhorn", "mountain", 45.9765738, 7.6584519),
    Landmark("Mount Fuji", "mountain", 35.3606255, 138.7273634),
    Landmark("Half Dome", "mountain", 37.7459620, -119.5329414),
    Landmark("Eiffel Tower", "night", 48.8583701, 2.2944813),
    Landmark("Empire State Building", "night", 40.7484405, -73.9856644),
    Landmark("Burj Khalifa", "night", 25.197197, 55.2743764),
    Landmark("Times Square", "street", 40.7579747, -73.9855426),
    Landmark("Brandenburg Gate", "street", 52.5162746, 13.3777041),
    Landmark("Sydney Opera House", "harbour", -33.8567844, 151.2152967),
    Landmark("Statue of Liberty", "harbour", 40.6892494, -74.0445004),
    Landmark("Copacabana Beach", "beach", -22.9714216, -43.1823352),
    Landmark("Louvre Museum", "museum", 48.8606111, 2.337644),
    Landmark("Grand Central Terminal", "train", 40.7527262, -73.9772294),
)

# Names on signs and boxes; all but the last three are nobody's.
LOGOS: Final = _list(
    "Northwind, Halden & Co, Blue Kestrel, Lumora, Pinecrest Coffee, Veltro Sport, Orchard Mobile, Quayside Tools, Sunspindle, Arbor Foods, "
    "Fjordline, Copperfox, Meridian Air, Tessellate, Brightwater, Castell Motors, Google, Android, VAIO"
)
SCENES_WITH_LOGOS: Final = frozenset(
    {"street", "night", "office", "concert", "football", "tennis", "car", "airport", "fashion", "shoes", "gadgets", "packaging", "market"}
)

PRODUCT_KINDS: Final = {
    "apparel": (
        ("Dress", "Summer dress"),
        ("Dress", "Evening gown"),
        ("Footwear", "Canvas sneaker"),
        ("Hat", "Straw hat"),
        ("Handbag", "Tote bag"),
    ),
    "homegoods": (
        ("Chair", "Oak chair"),
        ("Lamp", "Reading lamp"),
        ("Couch", "Two-seat sofa"),
        ("Table", "Side table"),
        ("Vase", "Clay vase"),
    ),
    "toys": (
        ("Teddy bear", "Plush bear"),
        ("Doll", "Rag doll"),
        ("Toy", "Wooden train"),
        ("Ball", "Bouncing ball"),
        ("Toy", "Building blocks"),
    ),
    "packagedgoods": (
        ("Packaged goods", "Lemonade 0.5 l"),
        ("Packaged goods", "Oat biscuits"),
        ("Bottle", "Olive oil"),
        ("Box", "Green tea"),
        ("Tin can", "Tomato soup"),
    ),
    "general": (
        ("Bicycle", "City bicycle"),
        ("Backpack", "Day pack"),
        ("Camera", "Compact camera"),
        ("Umbrella", "Folding umbrella"),
        ("Helmet", "Ski helmet"),
    ),
}
PRODUCT_LABELS: Final = {
    "color": _list("red, blue, green, black, white, yellow, grey"),
    "style": _list("classic, modern, kids, outdoor, vintage"),
    "brand": _list("Northwind, Lumora, Veltro Sport, Copperfox, Brightwater"),
}

ENGLISH: Final = "en"
# Signs in other languages, for requests that name one. Between words of Chinese, Japanese and Thai there is no space: "|" parts them.
# Texts are in the order in which they are read, also those that are written from right to left.
PHRASES: Final = {
    "fr": ("SORTIE DE SECOURS", "Défense de fumer", "Ouvert tous les jours", "Fraîchement préparé", "PRIÈRE DE FERMER/LA PORTE"),
    "de": ("NOTAUSGANG", "Bitte nicht stören", "Täglich geöffnet", "ZUTRITT FÜR UNBEFUGTE/VERBOTEN", "Straße gesperrt"),
    "es": ("SALIDA DE EMERGENCIA", "Prohibido fumar", "Abierto todos los días", "¿Necesita ayuda?/Llame aquí", "Mañana cerrado"),
    "it": ("USCITA DI SICUREZZA", "Vietato fumare", "Aperto tutti i giorni", "La qualità/è la nostra passione", "Gelateria artigianale"),
    "pt": ("SAÍDA DE EMERGÊNCIA", "Proibido fumar", "Aberto todos os dias", "Pão fresco/às sete da manhã", "Atenção: piso molhado"),
    "nl": ("NOODUITGANG", "Verboden te roken", "Elke dag geopend", "Fietsen worden/verwijderd", "Let op: gladde vloer"),
    "pl": ("WYJŚCIE EWAKUACYJNE", "Zakaz palenia", "Czynne codziennie", "Świeże pieczywo/od siódmej", "Uwaga: śliska podłoga"),
    "sv": ("NÖDUTGÅNG", "Rökning förbjuden", "Öppet alla dagar", "Färskt bröd/varje morgon", "Håll dörren stängd"),
    "tr": ("ACİL ÇIKIŞ", "Sigara içilmez", "Her gün açık", "Taze ekmek/sabah yedide", "Dikkat: kaygan zemin"),
    "ru": ("ЗАПАСНЫЙ ВЫХОД", "Не курить", "Открыто ежедневно", "Свежий хлеб/каждое утро", "Осторожно: скользкий пол"),
    "el": ("ΕΞΟΔΟΣ ΚΙΝΔΥΝΟΥ", "Απαγορεύεται το κάπνισμα", "Ανοιχτά κάθε μέρα", "Φρέσκο ψωμί", "Προσοχή: ολισθηρό δάπεδο"),
    "ko": ("비상구", "금연 구역", "매일 영업", "갓 구운 빵", "바닥이 미끄럽습니다"),
    "ja": ("非常口", "禁煙", "毎日|営業", "焼きたて|パン", "足元|に|ご注意|ください"),
    "zh": ("紧急|出口", "禁止|吸烟", "每天|营业", "新鲜|面包", "小心|地滑"),
    "th": ("ทางออก|ฉุกเฉิน", "ห้าม|สูบบุหรี่", "เปิด|ทุกวัน", "ขนมปัง|สด", "ระวัง|พื้นลื่น"),
    "vi": ("LỐI THOÁT HIỂM", "Cấm hút thuốc", "Mở cửa hàng ngày", "Bánh mì tươi/mỗi sáng", "Cẩn thận: sàn trơn"),
    "ar": ("مخرج الطوارئ", "ممنوع التدخين", "مفتوح يوميًا/من 8 إلى 22", "خبز طازج/كل صباح", "انتبه: الأرضية زلقة"),
    "fa": ("خروج اضطراری", "سیگار کشیدن ممنوع", "هر روز باز است", "نان تازه/هر روز صبح", "درب ساعت 22 بسته می‌شود"),
    "iw": ("יציאת חירום", "אסור לעשן", "פתוח כל יום/מ־8 עד 22", "לחם טרי/כל בוקר", "זהירות: רצפה רטובה", "שָׁלוֹם"),
    "hi": ("आपातकालीन निकास", "धूम्रपान निषेध", "प्रतिदिन खुला", "ताज़ी रोटी/हर सुबह", "सावधान: फ़र्श गीला है"),
    "bn": ("জরুরি বহির্গমন", "ধূমপান নিষেধ", "প্রতিদিন খোলা", "তাজা রুটি", "সাবধান: মেঝে ভেজা"),
    "ta": ("அவசர வழி", "புகைபிடிக்கத் தடை", "தினமும் திறந்திருக்கும்", "புதிய ரொட்டி", "கவனம்: ஈரமான தரை"),
}
UNSPACED: Final = frozenset({"ja", "zh", "th"})
LEFTWARD: Final = frozenset({"ar", "fa", "iw"})  # written from right to left
OTHER_CODES: Final = {"he": "iw", "zh-Hant": "zh"}  # what a hint may call a language; in answers Hebrew is iw (recorded)

_EMOJI: Final = (
    "OPEN 🎉🎉/ALL DAY ⏰",
    "FRESH 🍕 HERE/👨‍👩‍👧‍👦 WELCOME",
    "THANK YOU 🙏🏽/❤️ 🏳️‍🌈",
    "CALL ☎️ 1️⃣2️⃣3️⃣",
    "WE SHIP TO/🇫🇷 🇯🇵 🇧🇷 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
)
_MARKS: Final = ("Z̷̧̢͖̓̾à̴͚͠l̵͙̈́ǵ̸̲o̶̪͗ TEXT", "café creme brûlée", "Ångström ñandú", "x̂ ȳ z⃗")

# What is written where a script is asked for: the languages that use it, and their phrases.
SCRIPTS: Final[dict[str, tuple[tuple[str, tuple[str, ...]], ...]]] = {
    **{
        script: tuple((code, PHRASES[code]) for code in codes.split())
        for script, codes in {
            "latin": "fr de es it pt nl pl sv tr vi",
            "cyrillic": "ru",
            "greek": "el",
            "arabic": "ar fa",
            "hebrew": "iw",
            "cjk": "ja zh ko",
            "devanagari": "hi",
            "bengali": "bn",
            "tamil": "ta",
            "thai": "th",
        }.items()
    },
    "emoji": ((ENGLISH, _EMOJI),),
    "combining": (("vi", tuple(unicodedata.normalize("NFD", phrase) for phrase in PHRASES["vi"])), (ENGLISH, _MARKS)),
}

# In front of a name they make another thing of it, so that a list of labels, objects or brands can be as long as a load test wants.
KINDS: Final = _list(
    "Antique, Black, Blue, Broken, Bronze, Brown, Copper, Dark, Decorated, Double, Electric, Folding, Giant, Glass, Golden, Green, Heavy, "
    "Iron, Large, Leather, Light, Little, Long, Modern, Narrow, New, Old, Orange, Painted, Plastic, Purple, Red, Round, Rusty, Short, Silver, "
    "Square, Steel, Striped, White, Wide, Wooden, Yellow"
)

_KNOWN = """
Animal /m/0jbk, Dog /m/0bt9lr, Cat /m/01yrx, Bird /m/015p6, Horse /m/03k3r, Cattle /m/01xq0k1, Sheep /m/07bgp, Goat /m/03fwl, Elephant /m/0bwd_0j,
Lion /m/096mb, Zebra /m/0898b, Giraffe /m/03bk1, Deer /m/09kx5, Fish /m/0ch_cf, Shark /m/0by6g, Turtle /m/09dzg, Butterfly /m/0cyf8, Bee /m/01h3n,
Sparrow /m/0h23m, Jellyfish /m/0d8zb, Carnivores /m/01lrl, Snout /m/05mqq3, Pet Supply /m/0h8ks17, Collar /m/09141t, Working animal /m/07_gml,
Lawn /m/01v327, Canidae /m/01z5f, Dog collar /m/05q778, Person /m/01g317, Face /m/0dzct, Smile /m/019nj4, Car /m/0k4j, Boat /m/019jd, Bus /m/01bjv,
Train /m/07jdr, Truck /m/07r04, Van /m/0h2r6, Airplane /m/0cmf2, Bicycle /m/0199g, Bicycle wheel /m/01bqk0, Wheel /m/083wq, Tire /m/0h9mv,
Vehicle /m/07yv9, Land vehicle /m/01prls, Traffic light /m/015qff, Street light /m/033rq4, Vehicle registration plate /m/01jfm_, Building /m/0cgh4,
Skyscraper /m/079cl, Tower /m/01fdzj, Castle /m/0d5gx, House /m/03jm5, Window /m/0d4v4, Door /m/02dgv, Chair /m/01mzpv, Table /m/04bcr3,
Couch /m/02crq1, Pillow /m/034c16, Lamp /m/0dtln, Desk /m/01y9k5, Bench /m/0cvnqh, Furniture /m/0c_jw, Picture frame /m/06z37_, Laptop /m/01c648,
Computer monitor /m/02522, Computer keyboard /m/01m2v, Computer mouse /m/020lf, Mobile phone /m/050k8, Tablet computer /m/0bh9flk, Camera /m/0dv5r,
Headphones /m/01b7fy, Clock /m/01x3z, Book /m/0bt_c3, Whiteboard /m/02d9qx, Flower /m/0c9ph5, Rose /m/06m11, Plant /m/05s2s, Tree /m/07j7r,
Palm tree /m/0cdl1, Houseplant /m/03fp41, Flowerpot /m/0fm3zh, Vase /m/02s195, Food /m/02wbm, Fruit /m/02xwb, Apple /m/014j1m, Banana /m/09qck,
Orange /m/0cyhj_, Tomato /m/07j87, Vegetable /m/0f4s2w, Pizza /m/0663v, Cake /m/0fszt, Egg /m/033cnk, Croissant /m/015wgc, Coffee /m/02vqfm,
Coffee cup /m/02p5f1q, Drink /m/0271t, Bottle /m/04dr76w, Wine glass /m/09tvcd, Tableware /m/04brg2, Plate /m/050gv4, Fork /m/0dt3t, Spoon /m/0cmx8,
Knife /m/04ctx, Tin can /m/02jnhm, Box /m/025dyy, Oven /m/029bxz, Refrigerator /m/040b_t, Sink /m/0130jx, Candle /m/0c06p, Balloon /m/01j51,
Clothing /m/09j2d, Dress /m/01d40f, Footwear /m/09j5n, Hat /m/02dl1y, Glasses /m/0jyfg, Sunglasses /m/017ftj, Handbag /m/080hkjn,
Backpack /m/01940j, Umbrella /m/0hnnb, Suitcase /m/01s55n, Sock /m/01nq26, Helmet /m/0zvk5, Goggles /m/02_n6y, Guitar /m/0342h, Drum /m/026t6,
Microphone /m/0hg7b, Musical instrument /m/04szw, Football /m/01226z, Ball /m/018xm, Tennis ball /m/05ctyq, Tennis racket /m/0h8my_4,
Surfboard /m/019w40, Ski /m/071p9, Snowboard /m/06__v, Sculpture /m/06msq, Flag /m/03120, Toy /m/0138tl, Teddy bear /m/0kmg4, Doll /m/0167gd,
Tent /m/01j61q, Sky /m/01bqvp, Cloud /m/0csby, Water /m/0838f, Mountain /m/09d_r, Beach /m/0b3yr, Snow /m/06_dn, Grass /m/08t9c_, Forest /m/02zr8,
Night /m/01d74z, Street /m/01c8br, City /m/01n32, Text /m/07s6nbt, Font /m/03gq5hm, Logo /m/0dwx7, Eiffel Tower /m/02j81,
Golden Gate Bridge /m/035p3, Statue of Liberty /m/072p8, Saint Basil's Cathedral /m/014lft, Google /m/045c7b, VAIO /m/01g5tx
"""
KNOWN_MIDS: Final = dict(entry.strip().rsplit(" ", 1) for entry in _KNOWN.split(","))
