import MeridianCore
import MeridianPlacement
import Testing

@Suite struct DistanceLatencyTests {
    private let paris = Coordinates(latitude: 48.8566, longitude: 2.3522)
    private let newYork = Coordinates(latitude: 40.7128, longitude: -74.0060)

    @Test func distanceFollowsTheGreatCircle() {
        #expect(abs(paris.kilometres(to: newYork) - 5837) < 5)
        #expect(paris.kilometres(to: paris) == 0)
        #expect(abs(paris.kilometres(to: newYork) - newYork.kilometres(to: paris)) < 1e-9)
    }

    @Test func distanceCrossesTheDateLine() {
        let west = Coordinates(latitude: 0, longitude: 179.5)
        let east = Coordinates(latitude: 0, longitude: -179.5)
        #expect(abs(west.kilometres(to: east) - 111.2) < 0.1)
    }

    @Test func antipodesAreHalfTheCircumferenceApart() {
        let pole = Coordinates(latitude: 90, longitude: 0)
        #expect(abs(pole.kilometres(to: Coordinates(latitude: -90, longitude: 0)) - 20015) < 1)
    }

    @Test func roundTripIsAccessAndInflatedFibre() {
        let model = DistanceLatency(inflation: 2, accessNanoseconds: 5_000_000)
        // 1,000 km of straight fibre: 10.007 ms there and back.
        #expect(abs(model.roundTripNanoseconds(kilometres: 1000) - 25_013_846) < 1000)
        #expect(model.roundTripNanoseconds(kilometres: 0) == 5_000_000)
    }

    @Test func calibrationFindsTheInflationThatMadeTheMatrix() throws {
        let sites = Array(RegionSite.aws.prefix(4))
        let made = DistanceLatency(inflation: 1.7, accessNanoseconds: 0)
        let rows = sites.map { one in
            sites.map { Double(made.roundTripNanoseconds(from: one.coordinates, to: $0.coordinates)) / 1e6 }
        }
        let matrix = try LatencyMatrix(regions: sites.map(\.region), roundTripMilliseconds: rows)
        let found = DistanceLatency(calibratedOn: matrix, sites: sites, accessNanoseconds: 0)
        #expect(abs(found.inflation - 1.7) < 1e-6)
    }

    @Test func measuredRoundTripsAreLongerThanLightInStraightFibre() {
        let inflations = DistanceLatency.inflations(of: .aws, sites: RegionSite.aws)
        #expect(inflations.count == 45)
        #expect(inflations.allSatisfy { $0.inflation > 1 && $0.inflation < 3 })
    }

    @Test func everyRegionOfTheMatrixHasASite() {
        #expect(RegionSite.aws.map(\.region) == LatencyMatrix.aws.regions)
    }
}
