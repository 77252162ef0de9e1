import Crypto
import Foundation

/// Built programs on disk, one file each.
///
/// A file holds a line that names the format, the SHA-256 of the binary and the binary. A folder that cannot be used
/// turns the cache off; a file that does not hold what it should is treated as absent.
public struct ProgramCache: Sendable {
  /// Raised whenever the format of the files or the meaning of the key changes.
  private static let format = "softprompt-program-1\n"

  let folder: String?

  /// The folder that the environment asks for, or nil if it turns the cache off or names no home.
  public static func defaultFolder() -> String? {
    let environment = ProcessInfo.processInfo.environment
    if let chosen = environment["SOFTPROMPT_CACHE"], !chosen.isEmpty { return chosen == "off" ? nil : chosen }
    if let base = environment["XDG_CACHE_HOME"], !base.isEmpty { return base + "/softprompt" }
    if let home = environment["HOME"], !home.isEmpty { return home + "/.cache/softprompt" }
    return nil
  }

  /// The key of a program: everything that its binary depends on.
  static func key(source: String, options: String, device: OpenCLDevice) -> String {
    var hash = SHA256()
    for part in [
      format, source, options, device.name, device.vendor, device.deviceVersion, device.driverVersion,
      device.platformName, device.platformVersion,
    ] {
      hash.update(data: Data("\(part.utf8.count):".utf8))
      hash.update(data: Data(part.utf8))
    }
    return hash.finalize().map { String(format: "%02x", $0) }.joined()
  }

  /// The binary of that key, if a whole one is there.
  func load(_ key: String) -> Data? {
    guard let folder, let file = FileManager.default.contents(atPath: "\(folder)/\(key).bin") else { return nil }
    let header = Data(Self.format.utf8)
    let digest = SHA256.byteCount
    guard file.count > header.count + digest, file.prefix(header.count) == header else { return nil }
    let binary = file.dropFirst(header.count + digest)
    guard Data(SHA256.hash(data: binary)) == file.dropFirst(header.count).prefix(digest) else { return nil }
    return Data(binary)
  }

  /// Keeps a binary.
  ///
  /// What goes wrong is of no consequence: the program is built again next time.
  func store(_ binary: Data, _ key: String) {
    guard let folder else { return }
    let temporary = "\(folder)/\(key).\(UUID().uuidString).tmp"
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      let content = Data(Self.format.utf8) + Data(SHA256.hash(data: binary)) + binary
      try content.write(to: URL(fileURLWithPath: temporary))
      guard rename(temporary, "\(folder)/\(key).bin") == 0 else { throw CocoaError(.fileWriteUnknown) }
    } catch {
      unlink(temporary)
    }
  }
}
