import Testing

@testable import MeridianConvergence

struct VersionVectorTests {
    private let one = Origin(1)
    private let two = Origin(2)
    private let three = Origin(3)

    @Test func writesOfAnOriginAreCountedFromOne() {
        var vector = VersionVector()
        #expect(vector[one] == 0 && !vector.contains(Dot(one, 1)))
        #expect(vector.next(of: two) == Dot(two, 1))
        #expect(vector.next(of: one) == Dot(one, 1))
        #expect(vector.next(of: two) == Dot(two, 2))
        #expect(vector.entries == [Dot(one, 1), Dot(two, 2)])
        #expect(vector.contains(Dot(two, 1)) && vector.contains(Dot(two, 2)) && !vector.contains(Dot(two, 3)))
    }

    @Test func vectorsAreOrderedByWhatTheyCover() {
        let empty = VersionVector()
        let left = VersionVector(sorted: [Dot(one, 2), Dot(two, 1)])
        let right = VersionVector(sorted: [Dot(one, 1), Dot(three, 4)])
        #expect(empty.covers(empty) && left.covers(empty) && !empty.covers(left) && left.covers(left))
        #expect(!left.covers(right) && !right.covers(left))
        var (join, back) = (left, right)
        join.merge(right)
        back.merge(left)
        #expect(join == back && join.covers(left) && join.covers(right))
        #expect(join.entries == [Dot(one, 2), Dot(two, 1), Dot(three, 4)])
        join.merge(left)
        #expect(join == back)
    }

    @Test func originsCompareAsNumbers() {
        var vector = VersionVector()
        for origin in [UInt32.max, 0, 10, 9] { _ = vector.next(of: Origin(origin)) }
        #expect(vector.entries.map(\.origin.rawValue) == [0, 9, 10, .max])
        #expect(Origin(12).description == "o12")
    }
}
