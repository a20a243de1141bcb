import MeridianCore

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A place on earth, in degrees: latitude north of the equator, longitude east of Greenwich.
package struct Coordinates: Hashable, Sendable {
    package let latitude: Double
    package let longitude: Double

    /// The mean radius of the earth (IUGG), which a sphere stands in for: within 0.6 % of the ellipsoid.
    package static let earthRadiusKilometres = 6371.0088

    /// Preconditions: -90 ... 90 degrees of latitude, -180 ... 180 of longitude.
    package init(latitude: Double, longitude: Double) {
        precondition((-90...90).contains(latitude), "a latitude of \(latitude) degrees")
        precondition((-180...180).contains(longitude), "a longitude of \(longitude) degrees")
        self.latitude = latitude
        self.longitude = longitude
    }

    /// Along the great circle, by the haversine formula, which is exact for near points too.
    package func kilometres(to other: Coordinates) -> Double {
        let radians = Double.pi / 180
        let (north, east) = ((other.latitude - latitude) * radians / 2, (other.longitude - longitude) * radians / 2)
        let chord =
            sin(north) * sin(north)
            + cos(latitude * radians) * cos(other.latitude * radians) * sin(east) * sin(east)
        return 2 * Self.earthRadiusKilometres * asin(min(1, chord.squareRoot()))
    }
}

/// A region, and where it stands.
package struct RegionSite: Hashable, Sendable {
    package let region: Region
    package let coordinates: Coordinates

    package init(_ region: Region, _ coordinates: Coordinates) {
        self.region = region
        self.coordinates = coordinates
    }

    /// The ten regions of `LatencyMatrix.aws`, at the city that names each: AWS publishes no addresses. Tens of
    /// kilometres more or less are fractions of a millisecond.
    package static let aws: [RegionSite] = [
        RegionSite("us-east-1", Coordinates(latitude: 39.04, longitude: -77.49)),
        RegionSite("us-east-2", Coordinates(latitude: 39.96, longitude: -83.00)),
        RegionSite("us-west-2", Coordinates(latitude: 45.84, longitude: -119.70)),
        RegionSite("eu-west-1", Coordinates(latitude: 53.35, longitude: -6.26)),
        RegionSite("eu-central-1", Coordinates(latitude: 50.11, longitude: 8.68)),
        RegionSite("ap-northeast-1", Coordinates(latitude: 35.68, longitude: 139.69)),
        RegionSite("ap-southeast-1", Coordinates(latitude: 1.35, longitude: 103.82)),
        RegionSite("ap-southeast-2", Coordinates(latitude: -33.87, longitude: 151.21)),
        RegionSite("ap-south-1", Coordinates(latitude: 19.08, longitude: 72.88)),
        RegionSite("sa-east-1", Coordinates(latitude: -23.55, longitude: -46.63)),
    ]
}
