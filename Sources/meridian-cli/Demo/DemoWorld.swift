import BenchSupport
import Meridian

/// Where the demo plays: five regions, each under a law of its own, and the tables whose rows live there.
enum DemoWorld {
    static let regions: [Region] = ["us-east-1", "eu-central-1", "sa-east-1", "ap-south-1", "ap-northeast-1"]

    /// Countries of no other law are at home here.
    static let defaultRegion: Region = "ap-northeast-1"

    static let jurisdictions: [Region: Jurisdiction] = [
        "us-east-1": "US", "eu-central-1": "EU", "sa-east-1": "BR", "ap-south-1": "IN", defaultRegion: "default",
    ]

    static func topology() throws(MeridianError) -> Topology { try .aws(regions, jurisdictions: jurisdictions) }

    /// ε: what the nodes' clocks declare. They are all this machine's clock, so it holds whatever its value.
    static let clockError = Duration.microseconds(500)

    /// The member states of the European Union, by ISO 3166-1 alpha-2.
    private static let union: Set<String> = [
        "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU",
        "LV",
        "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
    ]

    /// The region whose law a country's rows are under.
    static func home(ofCountry country: String) -> Region {
        switch country {
        case "US": "us-east-1"
        case "BR": "sa-east-1"
        case "IN": "ap-south-1"
        case _ where union.contains(country): "eu-central-1"
        default: defaultRegion
        }
    }

    static let cities = Table<City>(
        "cities", key: \.id, locality: .regionalByRow(\.region), survival: .zone, placement: .restricted)
}

/// A row of `cities`, pinned to the jurisdiction of its region.
struct City: Codable, Hashable, Sendable {
    var id: Int
    var region: String
    var name: String
    var country: String
    var continent: String
    var population: Int
    var latitude: Double
    var longitude: Double
    var timezone: String
}

extension CityFile {
    /// The file's cities as rows of the demo.
    /// - Throws: as `records(in:)`.
    static func cities(in bytes: [UInt8]) throws(MeridianError) -> [City] {
        try records(in: bytes).map { city in
            City(
                id: city.id, region: DemoWorld.home(ofCountry: city.country).rawValue, name: city.name,
                country: city.country, continent: city.continent, population: city.population,
                latitude: city.latitude, longitude: city.longitude, timezone: city.timezone)
        }
    }
}

/// A row of the small tables with which latency and loss are measured.
struct Note: Codable, Hashable, Sendable {
    /// Tells apart the runs that shared a directory.
    var run: Int
    var number: Int
    var region: String
    var text: String
}

/// A commit rule under measurement: a table of notes, homed by row in all five regions, that differs in nothing else.
struct CommitMode: Sendable {
    /// As it stands in the figures' names.
    let name: String
    let title: String
    let table: Table<Note>

    private init(_ name: String, _ title: String, survival: SurvivalGoal = .zone, mode: ReplicationMode = .synchronous)
    {
        self.name = name
        self.title = title
        self.table = Table<Note>(
            "notes-\(name)", keyColumns: ["run", "number"], locality: .regionalByRow(\.region), survival: survival,
            mode: mode)
    }

    static let zone = CommitMode("zone", "synchronous, zone")
    static let region = CommitMode("region", "synchronous, region", survival: .region)
    static let semiSynchronous = CommitMode(
        "semiSynchronous", "semi-synchronous, 1", mode: .semiSynchronous(remoteRegions: 1))
    static let asynchronous = CommitMode("asynchronous", "asynchronous", mode: .asynchronous)
    static let all = [zone, region, semiSynchronous, asynchronous]
}
