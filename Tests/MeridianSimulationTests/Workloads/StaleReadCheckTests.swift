import MeridianCore
import Testing

@testable import MeridianSimulation

@Suite struct StaleReadCheckTests {
    private func time(_ value: Int64) -> Timestamp { Timestamp(rawValue: value) }

    private func check(_ values: [Int: Int], at timestamp: Int64, notBefore: Int64 = 0) -> String? {
        var check = StaleReadCheck()
        check.note(.init(key: 1, value: 10, timestamp: time(100)))
        check.note(.init(key: 1, value: 20, timestamp: time(200)))
        check.note(.init(key: 2, value: 30, timestamp: time(150)))
        check.noteUnknown(key: 2, value: 40)
        check.note(
            StaleReadCheck.Read(name: "it", timestamp: time(timestamp), notBefore: time(notBefore), values: values))
        return check.anomaly(keys: [1, 2])
    }

    @Test func theNewestValueAsOfTheTimestampIsRight() {
        #expect(check([:], at: 99) == nil)
        #expect(check([1: 10], at: 100) == nil)
        #expect(check([1: 10, 2: 30], at: 199) == nil)
        #expect(check([1: 20, 2: 30], at: 200) == nil)
    }

    @Test func anOlderANewerAndAMissingValueAreFound() {
        #expect(check([1: 10, 2: 30], at: 200) != nil)
        #expect(check([1: 20], at: 199) != nil)
        #expect(check([1: 10], at: 150) != nil)
    }

    @Test func aWriteOfUnknownOutcomeMayShow() {
        #expect(check([1: 20, 2: 40], at: 300) == nil)
    }

    @Test func aReadBeforeItsBoundIsFound() {
        #expect(check([1: 10], at: 120, notBefore: 121) != nil)
    }
}
