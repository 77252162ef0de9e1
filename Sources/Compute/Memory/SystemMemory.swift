import Foundation

/// The memory of the machine that this process may use.
public enum SystemMemory {
  /// Bytes: all that is built in, or what the process's control group allows if that is less.
  public static let byteCount = min(Int(ProcessInfo.processInfo.physicalMemory), groupLimit() ?? .max)

  /// The bytes that this process's control group may use; nil without a limit.
  static func groupLimit(
    files: [String] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
  ) -> Int? {
    let limits = files.compactMap { file -> Int? in
      guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return nil }
      // "max" where there is no limit.
      return Int(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }
    return limits.min()
  }
}
