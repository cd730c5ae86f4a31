declare global {
  namespace App {
    interface Locals {
      user: string | null;
      theme: string;
    }
  }
}

export {};
