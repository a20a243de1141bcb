import BenchSupport
import Meridian
import MeridianCore

/// What must not be found outside of a jurisdiction: the start of the keys of its rows, and names that only it has.
///
/// A name serves if it is long, and stands exactly once in all of cities.csv, so that no other row can explain a find.
struct Canaries: Sendable {
    struct Canary: Sendable {
        var jurisdiction: Jurisdiction
        var bytes: [UInt8]
    }

    private(set) var canaries: [Canary] = []
    private(set) var scan: ByteScan

    static let namesPerJurisdiction = 8
    private static let drawCount = 60
    private static let shortestName = 12

    init(cities: [City], file: [UInt8], table: TableID, topology: Topology, seed: UInt64) {
        for region in topology.regions {
            canaries.append(
                Canary(jurisdiction: topology.jurisdiction(of: region), bytes: Self.keyStart(table, region)))
        }
        var generator = SplitMix64(seed: seed)
        var drawn: [Canary] = []
        for region in topology.regions {
            let pool = cities.filter { $0.region == region.rawValue && $0.name.utf8.count >= Self.shortestName }
            for city in pool.shuffled(using: &generator).prefix(Self.drawCount) {
                drawn.append(Canary(jurisdiction: topology.jurisdiction(of: region), bytes: Array(city.name.utf8)))
            }
        }
        let counts = file.withUnsafeBytes { ByteScan(drawn.map(\.bytes)).counts(in: $0) }
        var taken: [Jurisdiction: Int] = [:]
        for (canary, count) in zip(drawn, counts) where count == 1 {
            guard taken[canary.jurisdiction, default: 0] < Self.namesPerJurisdiction else { continue }
            taken[canary.jurisdiction, default: 0] += 1
            canaries.append(canary)
        }
        scan = ByteScan(canaries.map(\.bytes))
    }

    /// Table, index and region, then the tag and the leading bytes of a city's number, which is positive and short. The
    /// prefix alone may stand anywhere: it is the range's bound, and holds no row.
    private static func keyStart(_ table: TableID, _ region: Region) -> [UInt8] {
        KeyEncoder.prefix(table: table, region: region) + [0x20, 0x80, 0, 0, 0, 0]
    }
}
