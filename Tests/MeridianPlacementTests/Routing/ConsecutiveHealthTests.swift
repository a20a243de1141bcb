import MeridianPlacement
import Testing

@Suite struct ConsecutiveHealthTests {
    @Test func onlyFailuresInARowMakeItUnhealthy() {
        var health = ConsecutiveHealth()
        for isSuccess in [false, false, true, false, false] { health.note(isSuccess: isSuccess) }
        #expect(health.isHealthy)
        #expect(health.note(isSuccess: false) == true)
        #expect(!health.isHealthy)
    }

    @Test func itTakesSuccessesInARowToComeBack() {
        var health = ConsecutiveHealth(failureThreshold: 1, successThreshold: 2)
        health.note(isSuccess: false)
        for isSuccess in [true, false, true] { #expect(health.note(isSuccess: isSuccess) == false) }
        #expect(health.note(isSuccess: true) == true)
        #expect(health.isHealthy)
    }

    @Test func resultsThatAgreeChangeNothing() {
        var health = ConsecutiveHealth(failureThreshold: 1)
        #expect(health.note(isSuccess: true) == false)
        #expect(health.note(isSuccess: false) == true)
        #expect(health.note(isSuccess: false) == false)
    }
}
