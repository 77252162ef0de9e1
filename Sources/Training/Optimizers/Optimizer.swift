import Autodiff
import Compute
import Foundation
import LanguageModels

/// Updates parameters from gradients, and owns what it has to remember between steps.
///
/// All of it is f32.
final class Optimizer {
  let options: TrainingOptions
  let parameters: [Parameter]
  private let backend: any ComputeBackend
  private let slots: [Slots]

  /// What is remembered for one parameter.
  private enum Slots {
    case adamW(first: Tensor, second: Tensor)
    case adafactor(AdafactorMoments)
    case sgd(velocity: Tensor?)

    /// By the names in the optimizer's file.
    var tensors: [(name: String, tensor: Tensor)] {
      switch self {
      case .adamW(let first, let second): [("first_moment", first), ("second_moment", second)]
      case .adafactor(.factored(let rows, let columns)):
        [("second_moment_rows", rows), ("second_moment_columns", columns)]
      case .adafactor(.full(let moments)): [("second_moment", moments)]
      case .sgd(let velocity): velocity.map { [("velocity", $0)] } ?? []
      }
    }
  }

  init(_ options: TrainingOptions, parameters: [Parameter], on backend: any ComputeBackend) throws {
    self.options = options
    self.parameters = parameters
    self.backend = backend
    slots = try parameters.map { parameter in
      let shape = parameter.shape
      switch options.optimizer {
      case .adamw: return .adamW(first: try backend.zeros(shape), second: try backend.zeros(shape))
      case .adafactor where shape.rank == 2:
        return .adafactor(.factored(rows: try backend.zeros([shape[0]]), columns: try backend.zeros([shape[1]])))
      case .adafactor: return .adafactor(.full(try backend.zeros(shape)))
      case .sgd: return .sgd(velocity: options.momentum == 0 ? nil : try backend.zeros(shape))
      }
    }
  }

  /// Bytes of everything remembered.
  var byteCount: Int { slots.flatMap(\.tensors).reduce(0) { $0 + $1.tensor.byteCount } }

  /// Updates every parameter that has a gradient, in place.
  ///
  /// - Parameter number: of the step, from 1.
  func step(_ number: Int, learningRate: Double, gradients: [Tensor?]) throws {
    for ((parameter, slots), gradient) in zip(zip(parameters, slots), gradients) {
      guard let gradient, !gradient.isEmpty else { continue }
      switch slots {
      case .adamW(let first, let second):
        let step = AdamWStep(
          learningRate: Float(learningRate), beta1: Float(options.beta1), beta2: Float(options.beta2),
          epsilon: Float(options.epsilon), weightDecay: Float(options.weightDecay), step: number)
        try backend.stepAdamW(
          step, parameter: parameter.value, gradient: gradient, firstMoment: first, secondMoment: second)
      case .adafactor(let moments):
        let choice = options.adafactor
        let step = AdafactorStep(
          learningRate: Float(learningRate), decay: Float(choice.decay),
          gradientEpsilon: Float(choice.gradientEpsilon), parameterEpsilon: Float(choice.parameterEpsilon),
          clipThreshold: Float(choice.clipThreshold), weightDecay: Float(options.weightDecay),
          scalesByParameter: choice.scalesByParameter, step: number)
        try backend.stepAdafactor(step, parameter: parameter.value, gradient: gradient, moments: moments)
      case .sgd(let velocity):
        try backend.stepSGD(
          learningRate: Float(learningRate), momentum: Float(options.momentum),
          weightDecay: Float(options.weightDecay), parameter: parameter.value, gradient: gradient,
          velocity: velocity)
      }
    }
  }

  // MARK: - On disk

  /// Everything remembered, as `PARAMETER.SLOT`.
  var items: [SafetensorsWriter.Item] {
    zip(parameters, slots).flatMap { parameter, slots in
      slots.tensors.map {
        SafetensorsWriter.Item(name: "\(parameter.name).\($0.name)", tensor: $0.tensor, on: backend)
      }
    }
  }

  /// Takes back what `items` wrote.
  ///
  /// - Throws: `CheckpointError` if a tensor is missing or has another shape.
  func restore(from file: SafetensorsFile) throws {
    for (parameter, slots) in zip(parameters, slots) {
      for slot in slots.tensors { try file.restore("\(parameter.name).\(slot.name)", to: slot.tensor, on: backend) }
    }
  }
}

extension SafetensorsFile {
  /// Copies an f32 tensor of the file into memory of the same shape.
  ///
  /// - Throws: `CheckpointError` if it is missing or has another shape or type.
  func restore(_ name: String, to tensor: Tensor, on backend: any ComputeBackend) throws {
    guard let entry = entries[name] else { throw CheckpointError.missingTensor(path: url.path, name: name) }
    guard entry.shape == tensor.shape else {
      throw CheckpointError.wrongShape(path: url.path, name: name, found: entry.shape, expected: tensor.shape)
    }
    guard entry.type == .f32 else {
      throw CheckpointError.malformed(
        path: url.path, reason: "tensor '\(name)' has dtype \(entry.type.rawValue), not F32")
    }
    if !tensor.isEmpty { try withBytes(of: entry) { try backend.write($0, to: tensor) } }
  }
}
