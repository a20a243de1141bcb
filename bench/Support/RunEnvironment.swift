import Foundation
import MeridianStorage

/// What a figure depends on besides the program.
enum RunEnvironment {
    static var current: [String: String] {
        [
            "swift": swift, "cores": String(ProcessInfo.processInfo.activeProcessorCount), "kernel": kernel,
            "sqlite": SQLiteLibrary.version,
            "commit": commit,
        ]
    }

    /// The compiler's version, which only the compiler knows.
    private static var swift: String {
        #if compiler(>=6.4)
            "6.4 or later"
        #elseif compiler(>=6.3)
            "6.3"
        #else
            "6.2"
        #endif
    }

    private static var kernel: String {
        var names = utsname()
        guard uname(&names) == 0 else { return "unknown" }
        return withUnsafeBytes(of: &names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// The commit that the program was built from, if it still stands in its own checkout.
    private static var commit: String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["git", "rev-parse", "--short", "HEAD"]
        process.currentDirectoryURL = Bundle.main.bundleURL
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return "unknown" }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let commit = text.trimmingCharacters(in: .whitespacesAndNewlines)
        return commit.isEmpty ? "unknown" : commit
    }
}
