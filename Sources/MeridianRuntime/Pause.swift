/// The one place where a task sleeps. Everything else waits for an event, so that a simulated world can own time.
package enum Pause {
    /// Ends early, without a sign, when the task is cancelled.
    package static func sleep(for duration: Duration) async {
        try? await Task.sleep(for: duration)
    }
}
