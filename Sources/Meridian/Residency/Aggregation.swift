import MeridianCore
import MeridianPlacement

/// One value to compute over the rows of a group: `.count`, `.sum(\.amount)`, `.histogram(\.age, bounds: [18, 65])`.
///
/// Numbers are `Double`: sums of integers are exact up to 2^53. Rows whose property is `nil` or not a number are left
/// out of that value.
public struct Aggregation<Row: Codable & Sendable>: Sendable {
    let function: JurisdictionRule.Aggregate
    /// `nil` for a row that does not count.
    let number: @Sendable (Row) -> Double?
    /// The upper bounds, exclusive, of all buckets but the last.
    var bounds: [Double] = []

    /// How many rows.
    public static var count: Aggregation { Aggregation(function: .count) { _ in 1 } }

    public static func sum<Number: BinaryInteger & SendableMetatype>(_ path: any KeyPath<Row, Number> & Sendable)
        -> Aggregation
    {
        Aggregation(function: .sum) { Double($0[keyPath: path]) }
    }
    public static func sum<Number: BinaryFloatingPoint & SendableMetatype>(_ path: any KeyPath<Row, Number> & Sendable)
        -> Aggregation
    {
        Aggregation(function: .sum) { Double($0[keyPath: path]) }
    }
    public static func mean<Number: BinaryInteger & SendableMetatype>(_ path: any KeyPath<Row, Number> & Sendable)
        -> Aggregation
    {
        Aggregation(function: .mean) { Double($0[keyPath: path]) }
    }
    public static func mean<Number: BinaryFloatingPoint & SendableMetatype>(_ path: any KeyPath<Row, Number> & Sendable)
        -> Aggregation
    {
        Aggregation(function: .mean) { Double($0[keyPath: path]) }
    }
    /// The smallest value: one row's own, so that many rules do not let it leave.
    public static func min<Number: BinaryInteger & SendableMetatype>(_ path: any KeyPath<Row, Number> & Sendable)
        -> Aggregation
    {
        Aggregation(function: .min) { Double($0[keyPath: path]) }
    }
    public static func min<Number: BinaryFloatingPoint & SendableMetatype>(_ path: any KeyPath<Row, Number> & Sendable)
        -> Aggregation
    {
        Aggregation(function: .min) { Double($0[keyPath: path]) }
    }
    /// The largest value: one row's own, so that many rules do not let it leave.
    public static func max<Number: BinaryInteger & SendableMetatype>(_ path: any KeyPath<Row, Number> & Sendable)
        -> Aggregation
    {
        Aggregation(function: .max) { Double($0[keyPath: path]) }
    }
    public static func max<Number: BinaryFloatingPoint & SendableMetatype>(_ path: any KeyPath<Row, Number> & Sendable)
        -> Aggregation
    {
        Aggregation(function: .max) { Double($0[keyPath: path]) }
    }
    /// How many rows lie below the first bound, from each bound to the next, and from the last one on.
    ///
    /// Precondition: the bounds rise.
    public static func histogram<Number: BinaryInteger & SendableMetatype>(
        _ path: any KeyPath<Row, Number> & Sendable, bounds: [Double]
    ) -> Aggregation { histogram(bounds) { Double($0[keyPath: path]) } }
    public static func histogram<Number: BinaryFloatingPoint & SendableMetatype>(
        _ path: any KeyPath<Row, Number> & Sendable, bounds: [Double]
    ) -> Aggregation { histogram(bounds) { Double($0[keyPath: path]) } }

    private static func histogram(
        _ bounds: [Double], _ number: @escaping @Sendable (Row) -> Double?
    ) -> Aggregation {
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy(<), "the bounds \(bounds) do not rise")
        var aggregation = Aggregation(function: .histogram, number: number)
        aggregation.bounds = bounds
        return aggregation
    }

    private init(function: JurisdictionRule.Aggregate, number: @escaping @Sendable (Row) -> Double?) {
        self.function = function
        self.number = number
    }
}

/// What is known of one value so far: parts of two sets of rows add up to that of both.
struct AggregatePart: Sendable, Hashable {
    let function: JurisdictionRule.Aggregate
    let bounds: [Double]
    var count = 0
    var sum = 0.0
    var smallest = Double.infinity
    var largest = -Double.infinity
    /// `nil`: withheld.
    var buckets: [Int?]
    /// Whether the value stays at home. The buckets of a histogram stay one by one.
    var isWithheld = false

    init(function: JurisdictionRule.Aggregate, bounds: [Double]) {
        self.function = function
        self.bounds = bounds
        buckets = function == .histogram ? Array(repeating: 0, count: bounds.count + 1) : []
    }

    /// How many values it is, for the question which of them may leave.
    var cellCount: Int { max(1, buckets.count) }

    /// - Returns: in which of its cells the number counts; `nil` where it is no number.
    @discardableResult
    mutating func add(_ number: Double) -> Int? {
        guard !number.isNaN else { return nil }
        count += 1
        sum += number
        smallest = Swift.min(smallest, number)
        largest = Swift.max(largest, number)
        if function == .histogram {
            let bucket = bounds.firstIndex { number < $0 } ?? bounds.count
            buckets[bucket] = (buckets[bucket] ?? 0) + 1
            return bucket
        }
        return 0
    }

    static func + (lhs: AggregatePart, rhs: AggregatePart) -> AggregatePart {
        var both = lhs
        both.count += rhs.count
        both.sum += rhs.sum
        both.smallest = Swift.min(lhs.smallest, rhs.smallest)
        both.largest = Swift.max(lhs.largest, rhs.largest)
        // A withheld bucket hides what others know of theirs as well: else a difference would tell it.
        both.buckets = zip(lhs.buckets, rhs.buckets).map { first, second in
            if let first, let second { first + second } else { nil }
        }
        both.isWithheld = lhs.isWithheld || rhs.isWithheld
        return both
    }

    /// Only what this function says, and of that only the cells that are told.
    func published(_ told: [Bool]) -> AggregatePart {
        var part = AggregatePart(function: function, bounds: bounds)
        if function != .histogram, told == [false] {
            part.isWithheld = true
            return part
        }
        switch function {
        case .count: part.count = count
        case .sum: (part.sum, part.count) = (sum, count)
        case .mean: (part.sum, part.count) = (sum, count)
        case .min: (part.smallest, part.count) = (smallest, count)
        case .max: (part.largest, part.count) = (largest, count)
        case .histogram:
            part.buckets = zip(buckets, told).map { $1 ? $0 : nil }
        }
        return part
    }

    var value: AggregateValue {
        if isWithheld { return .withheld }
        return switch function {
        case .count: .number(Double(count))
        case .sum: .number(sum)
        case .mean: count == 0 ? .none : .number(sum / Double(count))
        case .min: count == 0 ? .none : .number(smallest)
        case .max: count == 0 ? .none : .number(largest)
        case .histogram: .buckets(buckets)
        }
    }

    /// What it takes to tell it, 8 bytes a number.
    var byteCount: Int { function == .histogram ? 8 * buckets.count : 16 }
}
