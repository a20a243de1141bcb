import MeridianCore
import MeridianTransactions
import Testing

@Suite struct RecentTimestampsTests {
    private func time(_ value: Int64) -> Timestamp { Timestamp(rawValue: value) }

    @Test func aReaderIsHeldByTheLastThatItCanSee() {
        var recent = RecentTimestamps()
        for value in [100, 200, 300] as [Int64] { recent.note(time(value), earliest: time(50)) }
        #expect(recent.highest(notAfter: time(99)) == nil)
        #expect(recent.highest(notAfter: time(100)) == time(100))
        #expect(recent.highest(notAfter: time(299)) == time(200))
        #expect(recent.highest(notAfter: time(900)) == time(300))
    }

    @Test func whatIsPastIsForgotten() {
        var recent = RecentTimestamps()
        recent.note(time(100), earliest: time(50))
        recent.note(time(200), earliest: time(150))
        #expect(recent.highest(notAfter: time(199)) == nil)
        #expect(recent.highest(notAfter: time(200)) == time(200))
    }

    @Test func ofWhatIsNotKnownOneByOneAnythingCanBeThere() {
        var recent = RecentTimestamps()
        recent.note(time(100), earliest: time(50))
        recent.noteAll(upTo: time(200))
        recent.note(time(300), earliest: time(50))
        #expect(recent.highest(notAfter: time(150)) == time(150))
        #expect(recent.highest(notAfter: time(250)) == time(200))
        #expect(recent.highest(notAfter: time(300)) == time(300))
    }

    @Test func whatIsGivenUpForWantOfRoomStillHolds() {
        var recent = RecentTimestamps()
        for value in 1...Int64(RecentTimestamps.capacity) + 1 { recent.note(time(value), earliest: .zero) }
        let middle = Int64(RecentTimestamps.capacity / 2 + 1)
        #expect(recent.highest(notAfter: time(1)) == time(1))
        #expect(recent.highest(notAfter: time(middle)) == time(middle))
        #expect(recent.highest(notAfter: time(middle + 1)) == time(middle + 1))
    }
}
