/// Round-trip times between regions: what the distance itself costs, before disks, queues and waiting.
///
/// The planner predicts with it, in-process links delay by it, and placement prefers near regions by it.
///
/// A matrix is square and symmetric. A round trip from A to B runs over the same two one-way routes as one from B
/// to A, so two figures that differ are two measurements of one quantity: within the tolerance their mean is stored,
/// beyond it the table is refused. The diagonal is a round trip between two zones of one region. Nothing is
/// assumed about detours: on the internet the direct way is at times the longer one.
///
/// ```swift
/// let matrix = try LatencyMatrix(csv: """
///     region,paris,oslo
///     paris,1,28
///     oslo,28,1
///     """)
/// ```
public struct LatencyMatrix: Hashable, Sendable {
    /// The regions of the table, in its order. Empty for `none`, which knows every region.
    public let regions: [Region]
    /// Row after row, in nanoseconds. Invariants: square, symmetric, nothing negative.
    private let roundTripsNanoseconds: [Int64]
    private let positions: [Region: Int]

    /// The share of the larger figure by which the two directions of a pair may differ, unless another one is given.
    public static let defaultAsymmetryTolerance = 0.10
    /// Figures that differ by no more than this are never called asymmetric: it is the grain of published tables.
    static let asymmetryGrainMilliseconds = 1.0
    /// Nothing on earth takes a minute; a larger figure is in the wrong unit.
    static let maximumMilliseconds = 60_000.0

    /// A matrix from its rows: `rows[i][j]` is the round trip from `regions[i]` to `regions[j]` in milliseconds.
    ///
    /// - Parameter asymmetryTolerance: how far the two directions of a pair may differ, as a share of the larger.
    /// - Throws: `MeridianError` with `.invalidLatencyMatrix`, naming the cell and what to write there.
    public init(
        regions: [Region], roundTripMilliseconds rows: [[Double]],
        asymmetryTolerance: Double = defaultAsymmetryTolerance
    ) throws(MeridianError) {
        try Self.validate(regions: regions, rows: rows)
        try Self.validateSymmetry(regions: regions, rows: rows, tolerance: asymmetryTolerance)
        var nanoseconds: [Int64] = []
        for i in regions.indices {
            for j in regions.indices {
                nanoseconds.append(Int64(((rows[i][j] + rows[j][i]) / 2 * 1_000_000).rounded()))
            }
        }
        self.init(regions: regions, roundTripsNanoseconds: nanoseconds)
    }

    private init(regions: [Region], roundTripsNanoseconds: [Int64]) {
        precondition(
            roundTripsNanoseconds.count == regions.count * regions.count,
            "\(regions.count) regions with \(roundTripsNanoseconds.count) round trips")
        self.regions = regions
        self.roundTripsNanoseconds = roundTripsNanoseconds
        self.positions = Dictionary(uniqueKeysWithValues: regions.enumerated().map { ($0.element, $0.offset) })
    }

    /// No distance at all, between whatever regions there are.
    public static let none = LatencyMatrix(regions: [], roundTripsNanoseconds: [])

    /// Every two regions equally far apart.
    ///
    /// - Throws: `MeridianError` with `.invalidLatencyMatrix` for a region named twice or an impossible time.
    public static func uniform(
        regions: [Region], milliseconds: Double, withinRegionMilliseconds: Double = 0
    ) throws(MeridianError) -> LatencyMatrix {
        let rows = regions.indices.map { i in
            regions.indices.map { j in i == j ? withinRegionMilliseconds : milliseconds }
        }
        return try LatencyMatrix(regions: regions, roundTripMilliseconds: rows)
    }

    /// Whether the matrix knows how far away a region is.
    public func contains(_ region: Region) -> Bool { isZero || positions[region] != nil }

    /// The round trip between two regions; between two zones when they are the same region.
    ///
    /// Precondition: the matrix contains both.
    public func roundTripNanoseconds(from origin: Region, to destination: Region) -> Int64 {
        if isZero { return 0 }
        return roundTripsNanoseconds[position(origin) * regions.count + position(destination)]
    }

    /// Half a round trip: how the two directions share it cannot be told from round trips.
    ///
    /// Precondition: the matrix contains both.
    public func oneWayNanoseconds(from origin: Region, to destination: Region) -> Int64 {
        roundTripNanoseconds(from: origin, to: destination) / 2
    }

    /// - Throws: `MeridianError` with `.unknownRegion`, with the name that was probably meant.
    package func require(_ region: Region) throws(MeridianError) {
        guard !contains(region) else { return }
        let hint = NameSuggestion.hint(for: region.rawValue, among: regions.map(\.rawValue))
        throw MeridianError(
            .unknownRegion,
            "the latency matrix has no region \"\(region)\".\(hint) It knows \(Self.list(regions)); for any other "
                + "region pass a matrix that contains it.")
    }

    private var isZero: Bool { regions.isEmpty }

    private func position(_ region: Region) -> Int {
        guard let position = positions[region] else {
            preconditionFailure("the latency matrix has no region \(region), only \(Self.list(regions))")
        }
        return position
    }

    static func list(_ regions: [Region]) -> String { regions.map(\.rawValue).joined(separator: ", ") }
}
