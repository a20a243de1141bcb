import MeridianCore

/// The round trip over a distance on earth, where nobody has measured it:
///
///     round trip = access + 2 × kilometres × inflation / speed of light in fibre
///
/// Light in fibre travels at two thirds of its speed in vacuum. Cables are longer than the great circle; `inflation`
/// says how much, and is calibrated on round trips that were measured between places that are known. `access` is what
/// the client's last mile adds, near or far.
package struct DistanceLatency: Hashable, Sendable {
    /// How much longer the way is than the great circle; at least 1.
    package var inflation: Double
    package var accessNanoseconds: Int64

    /// 2/3 of 299,792.458 km/s.
    package static let fibreKilometresPerMillisecond = 299.792458 * 2 / 3

    /// Preconditions: an inflation of at least 1, an access time of at least 0.
    package init(inflation: Double, accessNanoseconds: Int64) {
        precondition(inflation >= 1, "an inflation of \(inflation): no way is shorter than the great circle")
        precondition(accessNanoseconds >= 0, "an access time of \(accessNanoseconds) ns")
        self.inflation = inflation
        self.accessNanoseconds = accessNanoseconds
    }

    /// The median inflation over all pairs of sites that the matrix knows.
    ///
    /// Precondition: there is such a pair, of two places.
    package init(calibratedOn matrix: LatencyMatrix, sites: [RegionSite], accessNanoseconds: Int64) {
        let inflations = Self.inflations(of: matrix, sites: sites).map(\.inflation).sorted()
        precondition(!inflations.isEmpty, "no two of \(sites.map(\.region)) are in the latency matrix")
        self.init(inflation: max(1, inflations[inflations.count / 2]), accessNanoseconds: accessNanoseconds)
    }

    package func roundTripNanoseconds(kilometres: Double) -> Int64 {
        precondition(kilometres >= 0, "a distance of \(kilometres) km")
        return accessNanoseconds + Int64((Self.floorMilliseconds(kilometres) * inflation * 1_000_000).rounded())
    }

    package func roundTripNanoseconds(from origin: Coordinates, to destination: Coordinates) -> Int64 {
        roundTripNanoseconds(kilometres: origin.kilometres(to: destination))
    }

    /// What light in a straight fibre would take, there and back.
    private static func floorMilliseconds(_ kilometres: Double) -> Double {
        2 * kilometres / fibreKilometresPerMillisecond
    }

    /// Of each pair, how many times longer its round trip is than that of light in a straight fibre.
    package static func inflations(
        of matrix: LatencyMatrix, sites: [RegionSite]
    ) -> [(from: Region, to: Region, inflation: Double)] {
        var inflations: [(from: Region, to: Region, inflation: Double)] = []
        let known = sites.filter { matrix.contains($0.region) }
        for (position, one) in known.enumerated() {
            for other in known[(position + 1)...] {
                let floor = floorMilliseconds(one.coordinates.kilometres(to: other.coordinates))
                guard floor > 0 else { continue }
                let measured = Double(matrix.roundTripNanoseconds(from: one.region, to: other.region)) / 1_000_000
                inflations.append((one.region, other.region, measured / floor))
            }
        }
        return inflations
    }
}
