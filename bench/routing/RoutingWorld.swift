import BenchSupport
import MeridianCore
import MeridianPlacement

/// Clients, regions, and how far they are from each other, drawn once for all routers.
struct RoutingWorld: Sendable {
    struct Client: Sendable {
        var city: CityRecord
        var coordinates: Coordinates
        /// The second in which it begins.
        var start: Int
        /// When in each second it sends, in nanoseconds.
        var phase: Int64
        var resolverKind: NameResolver.Kind
        /// Its resolver, among all.
        var resolver: Int
        /// How long beyond their time it keeps answers, in nanoseconds.
        var overstay: Int64
        /// By region, nanoseconds there and back.
        var roundTrips: [Int64]

        /// Milliseconds to the nearest region.
        var best: Double { Double(roundTrips.min() ?? 0) / 1e6 }
    }

    let clients: [Client]
    let sites: [RegionSite]
    /// Where resolvers stand; what they are depends on the router's clients (`ResolverPopulation`).
    let resolvers: [(kind: NameResolver.Kind, place: Coordinates)]
    let internet: NetworkGraph.Internet
    let inflation: Double
    let seed: UInt64

    /// The last mile there and back.
    static let access: Int64 = 5_000_000
    /// Of the clients, those that keep an answer far beyond its time: runtimes and middleboxes that cache for ever.
    static let overstayShare = 0.05
    static let overstay: Int64 = 1_800_000_000_000
    static let headquarters = 40

    static let population = ResolverPopulation(sendsClientSubnet: false)

    init(clients count: Int, seed: UInt64) throws {
        self.seed = seed
        let cities = try CityFile.records(in: try CityFile.bytes())
        let sites = RegionSite.aws.filter { RoutingBench.regions.contains($0.region) }
        let model = DistanceLatency(
            calibratedOn: .aws, sites: RegionSite.aws, accessNanoseconds: Self.access)
        var random = SplitMix64(seed: seed)
        let continents = ["us-east-1": "NA", "eu-central-1": "EU", "sa-east-1": "SA"]
        let countries = Dictionary(cities.map { ($0.country, $0.continent) }) { first, _ in first }
            .sorted { $0.key < $1.key }
        internet = NetworkGraph.internet(
            countries: countries.map { ($0.key, $0.value) },
            regions: sites.map { ($0.region, continents[$0.region.rawValue] ?? "AS") }, using: &random)

        // A country's way to a region is longer than the great circle by what a pair of the matrix is.
        let inflations = DistanceLatency.inflations(of: .aws, sites: RegionSite.aws).map(\.inflation)
        var detours: [String: [Double]] = [:]
        for country in countries {
            detours[country.key] = sites.map { _ in inflations[Int(random.below(UInt64(inflations.count)))] }
        }
        var sums: [Int] = []
        for city in cities { sums.append((sums.last ?? 0) + city.population) }
        func drawCity() -> Int {
            let draw = Int(random.below(UInt64(sums.last ?? 1)))
            var (low, high) = (0, sums.count - 1)
            while low < high {
                let middle = (low + high) / 2
                if sums[middle] > draw { high = middle } else { low = middle + 1 }
            }
            return low
        }
        func place(_ city: CityRecord) -> Coordinates {
            Coordinates(latitude: city.latitude, longitude: city.longitude)
        }
        let presences = RegionSite.aws.map(\.coordinates)
        let headquarters = (0..<Self.headquarters).map { _ in place(cities[drawCity()]) }
        var resolvers: [(kind: NameResolver.Kind, place: Coordinates)] = []
        resolvers += presences.map { (.open, $0) }
        resolvers += headquarters.map { (.corporate, $0) }
        var local: [Int: Int] = [:]
        var drawn: [Client] = []
        for _ in 0..<count {
            let position = drawCity()
            let (city, own) = (cities[position], place(cities[position]))
            let (kind, where_) = Self.population.draw(
                for: own, presences: presences, headquarters: headquarters, using: &random)
            let resolver: Int
            switch kind {
            case .open: resolver = where_ ?? 0
            case .corporate: resolver = presences.count + (where_ ?? 0)
            case .local:
                resolver = local[position] ?? resolvers.count
                if local[position] == nil {
                    local[position] = resolver
                    resolvers.append((.local, own))
                }
            }
            let roundTrips = zip(sites, detours[city.country] ?? []).map { site, detour in
                DistanceLatency(inflation: detour, accessNanoseconds: Self.access)
                    .roundTripNanoseconds(from: own, to: site.coordinates)
            }
            drawn.append(
                Client(
                    city: city, coordinates: own, start: Int(random.below(120)),
                    phase: Int64(random.below(1_000_000_000)), resolverKind: kind,
                    resolver: resolver, overstay: random.share() < Self.overstayShare ? Self.overstay : 0,
                    roundTrips: roundTrips))
        }
        // In the order in which they send.
        clients = drawn.sorted { ($0.phase, $0.city.id) < ($1.phase, $1.city.id) }
        inflation = model.inflation
        self.sites = sites
        self.resolvers = resolvers
    }

    func position(_ region: Region) -> Int {
        guard let position = sites.firstIndex(where: { $0.region == region }) else {
            preconditionFailure("no region \(region)")
        }
        return position
    }

    /// The value below which so many percent of all lie; 0 of none.
    func percentile(_ percentile: Double, of values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        let rank = Int((percentile / 100 * Double(sorted.count)).rounded(.up)) - 1
        return sorted[min(sorted.count - 1, max(0, rank))]
    }
}
